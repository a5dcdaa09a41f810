# SPDX-License-Identifier: GPL-2.0-only
"""The exception tree of pywasmjit.

Every error that a user can cause or meet derives from PywasmjitError, says what was found, where
(byte offset, function name) and what to do, and carries the process's exit code.  The codes are
those of sysexits.h, so that scripts and service managers can tell the cases apart:

====  ===========  ===========================================================
code  sysexits     meaning here
====  ===========  ===========================================================
2     (usage)      wrong command line
65    EX_DATAERR   the module or image is malformed, invalid or not supported
66    EX_NOINPUT   an input file cannot be read
69    EX_UNAVAILABLE  the host (kernel module, VM, tool, download) is not there
70    EX_SOFTWARE  internal error: a bug in pywasmjit
71    EX_OSERR     the operating system refused something (fork, mmap, ...)
73    EX_CANTCREAT an output file cannot be written
77    EX_NOPERM    permission denied; usually: use sudo
====  ===========  ===========================================================

A guest's own exit code is passed through, and a guest that traps exits with 128 + the signal
native code would have died of; both belong to the launcher, not to this tree.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessError",
    "DecodeError",
    "HostUnavailableError",
    "InputError",
    "InternalError",
    "ModuleError",
    "OutputError",
    "PywasmjitError",
    "SystemCallError",
    "UnsupportedError",
    "UsageError",
    "ValidationError",
]


class PywasmjitError(Exception):
    """Base of all errors pywasmjit reports; str() is the complete message for the user."""

    exit_code: ClassVar[int] = 70


class UsageError(PywasmjitError):
    """The command line makes no sense (exit code 2)."""

    exit_code = 2


class InputError(PywasmjitError):
    """An input file cannot be read (exit code 66, EX_NOINPUT)."""

    exit_code = 66


class OutputError(PywasmjitError):
    """An output file cannot be created or written (exit code 73, EX_CANTCREAT)."""

    exit_code = 73


class HostUnavailableError(PywasmjitError):
    """Something needed on this machine is missing (exit code 69, EX_UNAVAILABLE).

    For example the kernel module, /dev/wasm, QEMU, a compiler, or the test suite's data.
    The message names the package to install or the command to run.
    """

    exit_code = 69


class SystemCallError(PywasmjitError):
    """The operating system refused a request (exit code 71, EX_OSERR)."""

    exit_code = 71


class AccessError(PywasmjitError):
    """Permission denied (exit code 77, EX_NOPERM)."""

    exit_code = 77


class InternalError(PywasmjitError):
    """A bug in pywasmjit (exit code 70, EX_SOFTWARE)."""

    exit_code = 70


class ModuleError(PywasmjitError):
    """Something about a WebAssembly module (exit code 65, EX_DATAERR).

    Attributes:
        rule: what is wrong; begins with the official test suite's wording where it has one.
        section: name of the section ("type", "code", ...), "" outside of any section.
        offset: byte offset in the module, None where no single byte is at fault.
        function: index in the function index space, None outside of function bodies.
        function_name: that function's name, "" if not known.
    """

    exit_code = 65
    kind: ClassVar[str] = "bad module"

    def __init__(
        self,
        rule: str,
        *,
        section: str = "",
        offset: int | None = None,
        function: int | None = None,
        function_name: str = "",
    ) -> None:
        super().__init__(rule)
        self.rule = rule
        self.section = section
        self.offset = offset
        self.function = function
        self.function_name = function_name

    def __str__(self) -> str:
        where = []
        if self.function is not None:
            name = f" ({self.function_name})" if self.function_name else ""
            where.append(f"function {self.function}{name}")
        if self.section:
            where.append(f"{self.section} section")
        if self.offset is not None:
            where.append(f"byte offset 0x{self.offset:x}")
        text = f"{self.kind}: {self.rule}"
        return f"{text} [{', '.join(where)}]" if where else text

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default: errors cross process borders when
        # functions are validated in parallel.
        return (_rebuild, (type(self), self.__dict__.copy()))


class DecodeError(ModuleError):
    """The bytes are not a WebAssembly 2.0 binary module (spec chapter 5): malformed."""

    kind = "malformed module"


class ValidationError(ModuleError):
    """The module is well formed but breaks a validation rule (spec chapter 3): invalid."""

    kind = "invalid module"


class UnsupportedError(ModuleError):
    """The module uses a feature or a size that pywasmjit refuses by name."""

    kind = "unsupported module"


def _rebuild(cls: type[ModuleError], state: dict[str, object]) -> ModuleError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    error.args = (state["rule"],)
    return error
