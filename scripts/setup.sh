#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Install what building and testing need: Debian packages (as root), then a virtual environment.
#
#   scripts/setup.sh DIR       the environment goes to DIR
#
# Says what it will install and how large it is before it does.  Needs nothing but Debian 12.
set -eu
export DEBIAN_FRONTEND=noninteractive
here=$(cd "$(dirname "$0")" && pwd)
venv=$1

packages=$(grep -v '^#' "$here/packages.txt")
missing=
for package in $packages; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
		missing="$missing $package"
done
if [ -n "$missing" ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "setup: these packages are missing; install them as root:" >&2
		echo "  apt-get install$missing" >&2
		exit 77
	fi
	apt-get update -q
	echo "setup: about to install with apt-get:$missing"
	# shellcheck disable=SC2086
	apt-get install -s -q --no-install-recommends $missing | tail -n 1
	# shellcheck disable=SC2086
	apt-get install --no-install-recommends --print-uris -q -y $missing |
		awk -F"'" '/^.http/ { split($3, f, " "); n++; size += f[2] }
			END { printf "setup: %d packages, %d MB to download\n", n, size / 1000000 }'
	# shellcheck disable=SC2086
	apt-get install -q -y --no-install-recommends $missing
fi

[ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv "$venv"
echo "setup: Python packages into $venv (about 60 MB)"
"$venv/bin/pip" install -q --disable-pip-version-check -e "$here/..[test]"
