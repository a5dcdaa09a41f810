#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Both commands of the README as a new user would type them, in a fresh Debian 12.
#
# The chroot is made by debootstrap (cached; every run works on a copy).  It sees no cache of this
# machine, only the package registries: their certificates and resolver settings are copied in.
# What is tested is the last commit.  FRESH_DIR=DIR keeps the chroot there, and goes on with it.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "test-fresh: debootstrap and chroot need root" >&2; exit 77; }
command -v debootstrap >/dev/null || { echo "test-fresh: apt-get install debootstrap" >&2; exit 69; }
# Mounts and processes end with us, however we end.
[ -n "${FRESH_UNSHARED:-}" ] || FRESH_UNSHARED=1 exec unshare --mount --pid --fork --kill-child "$0"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pywasmjit/fresh
base=$cache/bookworm-base.tar
mkdir -p "$cache"
work=${FRESH_DIR:-$(mktemp -d "$cache/run-XXXXXX")}
mkdir -p "$work"

cleanup() {
	umount -R "$work" 2>/dev/null || true
	[ -n "${FRESH_DIR:-}" ] || rm -rf --one-file-system "$work"
}
trap cleanup EXIT

if [ ! -e "$base" ]; then
	new=$(mktemp -d "$cache/new-XXXXXX")
	debootstrap --variant=minbase --include=ca-certificates,git,make bookworm "$new" >"$cache/debootstrap.log"
	tar -C "$new" -cf "$base.new" .
	rm -rf --one-file-system "$new"
	mv "$base.new" "$base"
fi
[ -e "$work/etc" ] || tar -C "$work" -xf "$base"
chmod 755 "$work"	# it is / in there
cp /etc/resolv.conf "$work/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$work/etc/ssl/certs/ca-certificates.crt"
printf 'deb http://deb.debian.org/debian bookworm main\ndeb http://deb.debian.org/debian bookworm-updates main\ndeb http://deb.debian.org/debian-security bookworm-security main\n' \
	>"$work/etc/apt/sources.list"
mount --bind "$work" "$work"	# a root is a mount: unshare(1) changes its propagation
mount -t proc proc "$work/proc"
mount -t sysfs -o ro sys "$work/sys"
mount --bind /dev "$work/dev"
mount --bind /dev/pts "$work/dev/pts"
mount -t tmpfs -o mode=1777 shm "$work/dev/shm"
if [ -e "$work/root/pywasmjit" ]; then
	git -C "$work/root/pywasmjit" fetch -q "$here" HEAD
	git -C "$work/root/pywasmjit" reset -q --hard FETCH_HEAD
else
	git clone -q "$here" "$work/root/pywasmjit"
fi

# Not chroot alone: nsenter(1), which tests use, would leave it.
enter='
cd "$0"
mkdir -p .old
pivot_root . .old
exec chroot . /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8 \
	PIP_CERT=/etc/ssl/certs/ca-certificates.crt sh -c "umount -l /.old && cd /root/pywasmjit && $1"'
status=0
in_fresh() {
	"$here/scripts/timed.sh" "fresh: $1" unshare --mount sh -ec "$enter" "$work" "$1" || status=$?
}

in_fresh 'make run ONCE=1 HOST=user'
in_fresh 'make test'
exit $status
