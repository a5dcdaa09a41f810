# SPDX-License-Identifier: GPL-2.0-only
"""Lowering: WebAssembly to the register bytecode of isa.def."""
