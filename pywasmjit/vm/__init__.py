# SPDX-License-Identifier: GPL-2.0-only
"""Stock kernels in QEMU: fetched, booted, driven and judged from Python."""
