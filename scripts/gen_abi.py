# SPDX-License-Identifier: GPL-2.0-only
"""Generate what the host layer knows about the ABI of Emscripten guests.

Both compilers are asked, none is run: the probe is an array of 64-bit
constants, and the assembly that the compiler prints for it has them in order.

    python3 scripts/gen_abi.py            write the files
    python3 scripts/gen_abi.py --check    exit 1 if a file would change

Writes kmod/host/abi_emscripten.h (sizes, offsets, constants of the guest's C
library), kmod/host/abi_errno.def (Linux errno to guest errno),
kmod/host/abi_differ.def (other constants with another value than on Linux) and
kmod/host/abi_wasi.h (structures and constants of WASI preview 1).

    python3 scripts/gen_abi.py --later [--check]

asks a later Emscripten instead, in its chroot (emscripten_trixie.py), and writes
kmod/host/abi_time64.h: what is not as in abi_emscripten.h.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import abi_tables as tables
from emscripten_env import clang_compile_command
from guest_toolchain import BuildError

ROOT: Final = Path(__file__).resolve().parent.parent
OUTPUT_DIR: Final = ROOT / "kmod" / "host"

# Added to each value so that no element is zero: compilers print runs of
# zeros in another way.  Far from every value that is asked for.
BIAS: Final = 1 << 62
ABSENT: Final = -(1 << 60)

LICENSE: Final = "/* SPDX-License-Identifier: GPL-2.0-only */\n"


@dataclass(frozen=True)
class Question:
    """One number to ask a compiler for.

    macro: its name after the header's prefix; expression: C; guard: a macro that
    must be defined for the expression to make sense, or "".
    """

    macro: str
    expression: str
    guard: str = ""


class ProbeError(Exception):
    """A compiler did not answer the probe."""


def struct_questions(structs: Sequence[tuple[str, str, str]]) -> list[Question]:
    questions = []
    for name, ctype, fields in structs:
        questions.append(Question(f"SIZEOF_{name}", f"sizeof({ctype})"))
        for field in fields.split():
            plain = field.removesuffix("[]")
            macro = field_macro(name, field)
            questions.append(Question(f"OFF_{macro}", f"offsetof({ctype}, {plain})"))
            if field == plain:
                size = f"sizeof((({ctype} *)0)->{field})"
                questions.append(Question(f"LEN_{macro}", size))
    return questions


def field_macro(name: str, field: str) -> str:
    """Of a field of a structure; the fields of its fields have dots."""
    return f"{name}_{field.removesuffix('[]').replace('.', '_')}"


def type_macro(ctype: str) -> str:
    return "SIZEOF_" + ctype.replace("*", "_pointer")


def type_questions() -> list[Question]:
    return [Question(type_macro(t), f"sizeof({t})") for t in tables.TYPES]


def constant_questions(groups: Sequence[tuple[str, str]]) -> list[Question]:
    return [
        Question(name, name, "" if name in tables.ENUMERATORS else name)
        for _, names in groups
        for name in names.split()
    ]


def probe_source(questions: Sequence[Question], headers: Sequence[str]) -> str:
    """C that defines wj_abi[], one biased element for each question."""
    lines = ["#define _GNU_SOURCE"]
    lines += [f"#include <{header}>" for header in headers]
    lines.append("const long long wj_abi[] = {")
    for question in questions:
        # One wider than int: -1, 0xffffffff and 1UL << 31 stay what they are.
        answer = f"\t(long long)({question.expression}) + {BIAS}LL,"
        if question.guard:
            lines += [f"#ifdef {question.guard}", answer, "#else", f"\t{ABSENT + BIAS}LL,", "#endif"]
        else:
            lines.append(answer)
    lines.append("};")
    return "\n".join(lines) + "\n"


def parse_assembly(assembly: str, expected: int) -> list[int | None]:
    """Read the elements of wj_abi[] back; None where the guard was not defined."""
    start = re.search(r"^wj_abi:", assembly, re.MULTILINE)
    if start is None:
        raise ProbeError("no wj_abi in the assembly that the compiler wrote")
    values: list[int | None] = []
    for line in assembly[start.end() :].splitlines()[1:]:
        element = re.match(r"\s*\.(?:int64|quad|xword)\s+(-?\d+)\b", line)
        if element is None:
            break
        value = int(element.group(1)) - BIAS
        values.append(None if value == ABSENT else value)
    if len(values) != expected:
        raise ProbeError(f"asked for {expected} values, the assembly has {len(values)}")
    return values


def ask(compiler: Sequence[str], questions: Sequence[Question], headers: Sequence[str]) -> dict[str, int]:
    """Answers by macro name, without those that the C library does not define."""
    command = [*compiler, "-O0", "-g0", "-w", "-S", "-o", "-", "-x", "c", "-"]
    done = subprocess.run(
        command, input=probe_source(questions, headers), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProbeError(f"{' '.join(command)}\n{done.stderr}")
    values = parse_assembly(done.stdout, len(questions))
    return {
        question.macro: value for question, value in zip(questions, values, strict=True) if value is not None
    }


def c_number(value: int) -> str:
    """A literal that the preprocessor and both compilers read as this value."""
    if value < 0:
        return f"({value})"
    if value >= 1 << 63:
        return f"{value:#x}ull"
    if value >= 1 << 31:
        return f"{value:#x}ll" if value >= 1 << 32 else f"{value:#x}u"
    return str(value) if value < 4096 else f"{value:#x}"


def render_header(guest: dict[str, int]) -> str:
    out = [
        LICENSE,
        "/*\n * Sizes, offsets and constants of C programs built with Emscripten.\n"
        " * Generated by scripts/gen_abi.py, checked by tests/unit/test_guests_abi.py.\n"
        " *\n"
        " * WJ_EM_SIZEOF_x\t\tbytes\n"
        " * WJ_EM_OFF_x_field\tbytes from the start of x\n"
        " * WJ_EM_LEN_x_field\tbytes that the field takes\n"
        " */\n",
        "#ifndef WJ_HOST_ABI_EMSCRIPTEN_H\n#define WJ_HOST_ABI_EMSCRIPTEN_H\n",
    ]

    def define(macro: str) -> None:
        if macro in guest:
            out.append(f"#define WJ_EM_{macro} {c_number(guest[macro])}\n")

    out.append("\n/* Types */\n")
    for ctype in tables.TYPES:
        define(type_macro(ctype))
    for name, ctype, fields in (*tables.STRUCTS, *tables.GUEST_STRUCTS):
        out.append(f"\n/* {ctype} */\n")
        define(f"SIZEOF_{name}")
        for field in fields.split():
            define(f"OFF_{field_macro(name, field)}")
            define(f"LEN_{field_macro(name, field)}")
    out.append("\n/* Errors */\n")
    for name in tables.ERRNO:
        define(name)
    for heading, names in (*tables.CONSTANTS, *tables.GUEST_CONSTANTS):
        out.append(f"\n/* {heading} */\n")
        for name in names.split():
            define(name)
    out.append("\n#endif\n")
    return "".join(out)


def render_wasi(answers: dict[str, int]) -> str:
    out = [
        LICENSE,
        "/*\n * Sizes, offsets and constants of WASI preview 1, as wasi-libc's <wasi/api.h> has them.\n"
        " * Generated by scripts/gen_abi.py, checked by tests/unit/test_guests_abi.py.\n"
        " *\n"
        " * WJ_WASI_SIZEOF_x\t\tbytes\n"
        " * WJ_WASI_OFF_x_field\tbytes from the start of x\n"
        " * WJ_WASI_NAME\t\twhat C calls __WASI_NAME\n"
        " */\n",
        "#ifndef WJ_HOST_ABI_WASI_H\n#define WJ_HOST_ABI_WASI_H\n",
    ]
    for name, ctype, fields in tables.WASI_STRUCTS:
        out.append(f"\n/* {ctype} */\n#define WJ_WASI_SIZEOF_{name} {answers[f'SIZEOF_{name}']}\n")
        for field in fields.split():
            macro = f"OFF_{field_macro(name, field)}"
            out.append(f"#define WJ_WASI_{macro} {answers[macro]}\n")
    for heading, names in tables.WASI_CONSTANTS:
        out.append(f"\n/* {heading} */\n")
        for name in names.split():
            out.append(f"#define WJ_WASI_{name} {c_number(answers[f'__WASI_{name}'])}\n")
    out.append("\n#endif\n")
    return "".join(out)


def render_errno(guest: dict[str, int], native: dict[str, int]) -> str:
    out = [
        LICENSE,
        "/*\n * ERRNO(name, value on Linux, value in the guest)\n"
        " * Generated by scripts/gen_abi.py.  One line for each Linux value, in its order.\n */\n",
    ]
    known = [name for name in tables.ERRNO if name in guest and name in native]
    for name in sorted(known, key=lambda name: native[name]):
        out.append(f"ERRNO({name}, {native[name]}, {guest[name]})\n")
    return "".join(out)


def differing_constants(guest: dict[str, int], native: dict[str, int]) -> list[str]:
    """Names of constants other than errno whose values differ."""
    return [
        name
        for _, names in tables.CONSTANTS
        for name in names.split()
        if name in guest and name in native and guest[name] != native[name]
    ]


def render_differ(guest: dict[str, int], native: dict[str, int]) -> str:
    out = [
        LICENSE,
        "/*\n * DIFFERS(name, value on x86-64 Linux, value in the guest)\n"
        " * Generated by scripts/gen_abi.py.  Every other constant of abi_emscripten.h that\n"
        " * Linux has too has the same value there, errno apart (abi_errno.def).\n */\n",
    ]
    for name in differing_constants(guest, native):
        out.append(f"DIFFERS({name}, {c_number(native[name])}, {c_number(guest[name])})\n")
    return "".join(out)


def generate() -> dict[str, str]:
    """Contents of the generated files by file name."""
    constants = constant_questions([("errno", " ".join(tables.ERRNO)), *tables.CONSTANTS])
    shared = [*type_questions(), *struct_questions(tables.STRUCTS), *constants]
    only_guest = [
        *struct_questions(tables.GUEST_STRUCTS),
        *constant_questions(tables.GUEST_CONSTANTS),
    ]
    guest = ask(
        [*clang_compile_command(), "-I", str(ROOT / "guest" / "include")],
        [*shared, *only_guest],
        [*tables.HEADERS, "sys/sendfile.h", *tables.GUEST_HEADERS],
    )
    compared = [question for question in constants if question.macro not in tables.NOT_COMPARED]
    wasi = ask(
        ["clang-14", "--target=wasm32-wasi"],
        [
            *struct_questions(tables.WASI_STRUCTS),
            *(
                Question(f"__WASI_{name}", f"__WASI_{name}")
                for _, names in tables.WASI_CONSTANTS
                for name in names.split()
            ),
        ],
        ["stddef.h", "wasi/api.h"],
    )
    native = ask(["gcc"], compared, [*tables.HEADERS, "sys/sendfile.h"])
    return {
        "abi_emscripten.h": render_header(guest),
        "abi_errno.def": render_errno(guest, native),
        "abi_differ.def": render_differ(guest, native),
        "abi_wasi.h": render_wasi(wasi),
    }


def generate_later(chroot: Path) -> dict[str, str]:
    """abi_time64.h: what the chroot's Emscripten has elsewhere, or of another size or value."""
    headers = [header for header in tables.HEADERS if header not in tables.LATER_MISSING]
    structs = [struct_questions([entry]) for entry in tables.STRUCTS if entry[0] not in tables.LATER_MISSING]
    constants = constant_questions([("", " ".join(tables.ERRNO)), *tables.CONSTANTS])
    # A structure is shown whole.
    groups = [*structs, *([question] for question in (*type_questions(), *constants))]
    questions = [question for group in groups for question in group]
    now = ask(clang_compile_command(), questions, headers)
    later = ask(["chroot", str(chroot), "emcc"], questions, headers)
    changed = [
        question
        for group in groups
        if any(later.get(question.macro) not in (None, now.get(question.macro)) for question in group)
        and group[0].macro not in tables.LATER_IGNORED
        for question in group
    ]
    out = [
        LICENSE,
        "/*\n * Of abi_emscripten.h, what Emscripten 3.1.69 has differently, whose time_t has 64 bits.\n"
        " * Generated by scripts/gen_abi.py --later, checked by tests/unit/test_guests_abi.py.\n */\n",
        "#ifndef WJ_HOST_ABI_TIME64_H\n#define WJ_HOST_ABI_TIME64_H\n\n",
        *(
            f"#define WJ_EM64_{question.macro} {c_number(later[question.macro])}\n"
            for question in changed
        ),
        "\n#endif\n",
    ]
    return {"abi_time64.h": "".join(out)}


def write_or_check(
    directory: Path, contents: dict[str, str], check: bool, report: Callable[[str], None]
) -> bool:
    """Write the files, or with check only compare.  True if all were fresh."""
    fresh = True
    for name, text in contents.items():
        path = directory / name
        if path.exists() and path.read_text() == text:
            continue
        fresh = False
        if check:
            report(f"{path}: out of date, run python3 scripts/gen_abi.py")
        else:
            path.write_text(text)
            report(f"{path}: written")
    return fresh


def later_chroot() -> Path:
    from build_guests import Builder  # which takes a while
    from emscripten_trixie import CHROOT
    from guest_cache import default_root

    return Builder(default_root(), 1, lambda line: print(line, file=sys.stderr)).result(CHROOT) / "tree"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Generate the ABI tables of Emscripten guests.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--later", action="store_true", help="of Emscripten 3.1.69, in its chroot")
    options = parser.parse_args(arguments)
    try:
        contents = generate_later(later_chroot()) if options.later else generate()
    except (ProbeError, BuildError) as error:
        print(f"gen_abi: {error}", file=sys.stderr)
        return 2
    fresh = write_or_check(OUTPUT_DIR, contents, options.check, print)
    return 0 if fresh or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
