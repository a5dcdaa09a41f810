# SPDX-License-Identifier: GPL-2.0-only
"""pywasmjit: WebAssembly servers inside the Linux kernel."""

__version__ = "0.1.0"
