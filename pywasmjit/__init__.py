# SPDX-License-Identifier: GPL-2.0-only
"""pywasmjit: WebAssembly servers inside the Linux kernel."""
