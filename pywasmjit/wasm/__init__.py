# SPDX-License-Identifier: GPL-2.0-only
"""WebAssembly binary modules: decode, validate, disassemble."""

from __future__ import annotations

from pywasmjit.wasm.decode import decode
from pywasmjit.wasm.module import Module
from pywasmjit.wasm.validate import validate, validate_function, validate_module

__all__ = ["Module", "decode", "validate", "validate_function", "validate_module"]
