#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run a command and say how many minutes it took: scripts/timed.sh NAME COMMAND [ARG...]
name=$1
shift
start=$(date +%s)
status=0
"$@" || status=$?
end=$(date +%s)
awk -v name="$name" -v seconds=$((end - start)) 'BEGIN { printf "%s: %.1f minutes\n", name, seconds / 60 }'
exit $status
