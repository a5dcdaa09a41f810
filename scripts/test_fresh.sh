#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Both commands of the README as a new user would type them, in a fresh Debian 12.
#
# The chroot is made by debootstrap (cached; every run works on a copy).  It sees no cache of this
# machine, only the package registries: their certificates and resolver settings are copied in.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pywasmjit/fresh
base=$cache/bookworm-base.tar
mkdir -p "$cache"
work=$(mktemp -d "$cache/run-XXXXXX")

cleanup() {
	for place in dev/pts dev proc sys; do
		mountpoint -q "$work/$place" && umount "$work/$place"
	done
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT

if [ ! -e "$base" ]; then
	debootstrap --variant=minbase --include=ca-certificates,git,make bookworm "$work" >"$cache/debootstrap.log"
	tar -C "$work" -cf "$base.new" .
	mv "$base.new" "$base"
else
	tar -C "$work" -xf "$base"
fi
cp /etc/resolv.conf "$work/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$work/etc/ssl/certs/ca-certificates.crt"
printf 'deb http://deb.debian.org/debian bookworm main\ndeb http://deb.debian.org/debian bookworm-updates main\ndeb http://deb.debian.org/debian-security bookworm-security main\n' \
	>"$work/etc/apt/sources.list"
mount -t proc proc "$work/proc"
mount -t sysfs -o ro sys "$work/sys"
mount --bind /dev "$work/dev"
mount --bind /dev/pts "$work/dev/pts"
git clone -q "$here" "$work/root/pywasmjit"

in_fresh() {
	env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8 \
		PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
		chroot "$work" sh -c "cd /root/pywasmjit && $1"
}

in_fresh 'make run ONCE=1 HOST=user'
in_fresh 'make test'
