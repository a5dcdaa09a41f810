# SPDX-License-Identifier: GPL-2.0-only
"""Linking, host functions, nesting, traps and lifetimes of instances, on both engines.

The official suite has more on linking (imports.wast, linking.wast).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.native.libcore import INTERP, JIT, NO_IMPORT, CoreError, Import, Trap, host
from tests.unit.core_engines import Engine, outcome
from tests.verify.assemble import (
    FUNC,
    GLOBAL,
    MEMORY,
    NULL,
    TABLE,
    Body,
    Image,
    active_elements,
    export_entry,
    func_type,
    global_entry,
    global_value,
    import_entry,
    integer,
    limits,
    program,
    ref_func,
    table_entry,
    text,
    unsigned,
)

NONE = 0xFFFFFFFF
EXHAUSTED = "call stack exhausted"
MEMORY_TRAP = "out of bounds memory access"
TABLE_TRAP = "out of bounds table access"


def importing(
    params: str, results: str, source: str, own: tuple[str, str] = ("", ""), **body: object
) -> Image:
    """Function 0 is an import, function 1 is exported as "f"."""
    return Image(
        types=[func_type(params, results), func_type(*own)],
        imports=[import_entry("m", "g", FUNC, unsigned(0))],
        functions=[(1, Body(source, leaf=False, **body))],  # type: ignore[arg-type]
        exports=[export_entry("f", FUNC, 1), export_entry("g", FUNC, 0)],
    )


def test_host_function_gets_arguments(engine: Engine) -> None:
    params = "ilfdr" + "iiii" + "l" + "fffffff" + "d"
    source = """
        OUT_STORE r0 0
        I32_CONST r4 -5
        I32_CONST r5 6
        OUT_STORE r1 1
        I32_CONST r3 4
        F32_CONST f2 0x40000000
        F32_CONST f3 3
        F32_CONST f4 4
        F32_CONST f5 5
        F32_CONST f6 6
        F32_CONST f7 7
        FOUT_STORE f0 2
        FOUT_STORE f1 3
        CALL 0
        RET"""
    instance = engine.load(importing(params, "", source, ("ilrfd", ""), outs=4), [host("print")])
    assert outcome(instance, "f", 1, 1 << 40, 7, 0x3F800000, 1 << 63) == []
    words = engine.core.printed.pop().split()
    assert words == [
        "0", "0:1", "1:10000000000", "2:3f800000", "3:8000000000000000", "4:7", "0:4", "0:fffffffb",
        "0:6", "0:1", "1:10000000000", "2:40000000", "2:3", "2:4", "2:5", "2:6", "2:7",
        "2:3f800000", "3:8000000000000000",
    ]  # fmt: skip
    assert instance.stats()["host_calls"] == 1


@pytest.mark.parametrize("letter", "ilfdre")
def test_host_results_are_clean(engine: Engine, letter: str) -> None:
    """What a host returns in the upper half of a 32-bit result is cut off."""
    floats = letter in "fd"
    move = "FRESULT_LOAD f0 1" if floats else "RESULT_LOAD r0 1"
    store = "FRESULT_STORE f1 1" if floats else "RESULT_STORE r1 1"
    first = "FMOV f1 f0" if floats else "MOV r1 r0"
    source = f"CALL 0\n {first}\n {move}\n {store}\n RET"
    instance = engine.load(importing("", letter * 2, source, ("", letter * 2)), [host("dirty")])
    high = 0xFFFFFFFF00000000 if letter in "ld" else 0
    assert instance.call("f") == [high | 2, high | 1]
    # Called without a guest in between as well.
    assert instance.call("g") == [high | 1, high | 2]


def test_arguments_from_outside_are_clean(engine: Engine) -> None:
    widen = "I64_EXTEND_I32_U r0 r0\n RET"
    instance = engine.load(program(widen, "i", "l"))
    assert instance.call("f", 0xFFFFFFFF00000005) == [5]
    load = "I32_LOAD8_U r0 r0 0\n RET"
    instance = engine.load(program(load, "i", "i"))
    assert outcome(instance, "f", 0x100000000) == [0]


def test_host_trap(engine: Engine) -> None:
    instance = engine.load(importing("i", "", "CALL 0\n RET", ("i", "")), [host("trap")])
    assert outcome(instance, "f", 0) == []
    assert outcome(instance, "f", 9) == "out of bounds table access"
    assert instance.backtrace() == [(1, 0)]
    assert outcome(instance, "g", 36) == "bad argument to a host function"
    assert instance.stats()["traps"] == 2


def test_unknown_import(engine: Engine) -> None:
    """The program starts, and traps if it calls what is not there."""
    source = "I32_BR_IF_IMM r0 EQ 0 no\n CALL 0\n RET\n no:\n RET"
    instance = engine.load(importing("", "", source, ("i", "")), [NO_IMPORT])
    assert outcome(instance, "f", 0) == []
    assert outcome(instance, "f", 1) == "unknown import"


RECURSE = Image(
    types=[func_type("i", "")],
    imports=[import_entry("m", "call_table", FUNC, unsigned(0))],
    # Calls itself through the host as often as the counter in its global says.
    functions=[
        (
            1,
            Body(
                """GLOBAL_GET r0 0
                I32_BR_IF_IMM r0 EQ 0 end
                I32_ADD_IMM r0 r0 -1
                GLOBAL_SET r0 0
                I32_CONST r0 0
                CALL 0
                RET
                end:
                RET""",
                leaf=False,
            ),
        )
    ],
    tables=[table_entry("r", 1)],
    globals=[global_entry("i", True, integer(0))],
    exports=[export_entry("f", FUNC, 1)],
    elements=[active_elements(0, 0, [ref_func(1)])],
)
RECURSE = replace(RECURSE, types=[func_type("i", ""), func_type("")])


def test_nesting_is_bounded(engine: Engine) -> None:
    """Each host function that calls back takes native stack: 64 deep (WJ_MAX_NESTING)."""
    instance = engine.load(RECURSE, [host("call_table")])
    instance.global_set(0, 63)
    assert outcome(instance, "f") == []
    instance.global_set(0, 64)
    assert outcome(instance, "f") == EXHAUSTED
    # All is as before.
    instance.global_set(0, 63)
    assert outcome(instance, "f") == []


def test_host_catches_traps(engine: Engine) -> None:
    image = Image(
        types=[func_type("i", "i"), func_type("")],
        imports=[import_entry("m", "catch", FUNC, unsigned(0))],
        functions=[
            (0, Body("CALL 0\n I32_BR_IF_IMM r0 EQ 1 bad\n RET\n bad:\n UNREACHABLE", leaf=False)),
            (1, Body("TRAP OUT_OF_BOUNDS")),
            (1, Body("UNREACHABLE")),
        ],
        tables=[table_entry("r", 3)],
        exports=[export_entry("f", FUNC, 1)],
        elements=[active_elements(0, 0, [ref_func(2), ref_func(3)])],
    )  # fmt: skip
    instance = engine.load(image, [host("catch")])
    assert instance.call("f", 0) == [2]
    assert instance.call("f", 2) == [7]
    # The backtrace is that of the trap that got through, not of the one caught before.
    assert outcome(instance, "f", 1) == "unreachable"
    frames = instance.backtrace()
    assert [function for function, _ in frames] == [1]


def test_backtrace_through_host(engine: Engine) -> None:
    instance = engine.load(
        replace(
            RECURSE,
            functions=[
                *RECURSE.functions,
                (1, Body("UNREACHABLE")),
                (1, Body("POLL\n CALL 2\n RET", leaf=False)),
                (1, Body("I32_CONST r0 0\n CALL 0\n RET", leaf=False)),
            ],
            elements=[active_elements(0, 0, [ref_func(3)])],
            exports=[export_entry("f", FUNC, 4)],
        ),
        [host("call_table")],
    )
    assert outcome(instance, "f") == "unreachable"
    assert instance.backtrace() == [(2, 0), (3, 1), (4, 3)]


def test_stack_exhausted(engine: Engine) -> None:
    """Not by many frames alone: also by large ones, and by arguments."""
    for options in ({}, {"slots": (0, 4000, 0, 0, 0)}, {"outs": 4000}):
        body = Body("CALL 0\n RET", leaf=False, **options)
        image = Image(types=[func_type("")], functions=[(0, body)], exports=[export_entry("f", FUNC, 0)])
        instance = engine.load(image)
        assert outcome(instance, "f") == EXHAUSTED
        assert {function for function, _ in instance.backtrace()} == {0}
        assert outcome(instance, "f") == EXHAUSTED


def test_polls(engine: Engine) -> None:
    """Every turn of a loop and every call of what is no leaf looks at the poll word."""
    loop = "a: r0=i32\n POLL\n I32_ADD_IMM r0 r0 -1\n I32_BR_IF_IMM r0 NE 0 a\n RET"
    instance = engine.load(program(loop, "i"))
    engine.core.polls()
    assert outcome(instance, "f", 10) == []
    assert engine.core.polls() == 0
    instance.set_poll(1, 1000)
    assert outcome(instance, "f", 10) == []
    assert engine.core.polls() == 10
    instance.set_poll(4, 5)
    assert outcome(instance, "f", 10) == "interrupted by a fatal signal"
    assert engine.core.polls() == 5
    assert instance.backtrace() == [(0, 0)]
    instance.set_poll(0)

    forever = Image(
        types=[func_type("")],
        functions=[
            (0, Body("CALL 1\n RET", leaf=False)),
            (0, Body("CALL 2\n CALL 2\n RET", leaf=False)),
            (0, Body("RET")),
        ],
        exports=[export_entry("f", FUNC, 0)],
    )
    instance = engine.load(forever)
    instance.set_poll(1, 1000)
    assert outcome(instance, "f") == []
    assert engine.core.polls() == 2
    instance.set_poll(1, 2)
    assert outcome(instance, "f") == "interrupted by a fatal signal"


EXPORTER = Image(
    types=[func_type("", "i"), func_type("i", "i")],
    functions=[(0, Body("I32_CONST r0 1\n RET")), (1, Body("RET"))],
    tables=[table_entry("r", 2, 5), table_entry("e", 1)],
    memories=[limits(1, 3)],
    globals=[global_entry("i", False, integer(5)), global_entry("i", True, integer(6))],
    exports=[
        export_entry("f", FUNC, 0), export_entry("id", FUNC, 1), export_entry("t", TABLE, 0),
        export_entry("e", TABLE, 1), export_entry("m", MEMORY, 0), export_entry("g", GLOBAL, 0),
        export_entry("v", GLOBAL, 1),
    ],
)  # fmt: skip
INCOMPATIBLE = "incompatible import type"


@pytest.mark.parametrize(
    ("kind", "description", "export", "message"),
    [
        (FUNC, unsigned(0), "f", ""),
        (FUNC, unsigned(1), "id", ""),
        (FUNC, unsigned(0), "id", INCOMPATIBLE),
        (FUNC, unsigned(0), "t", INCOMPATIBLE),
        (FUNC, unsigned(0), "m", INCOMPATIBLE),
        (TABLE, table_entry("r", 2, 5), "t", ""),
        (TABLE, table_entry("r", 0, 6), "t", ""),
        (TABLE, table_entry("r", 1), "t", ""),
        (TABLE, table_entry("r", 3), "t", INCOMPATIBLE),
        (TABLE, table_entry("r", 2, 4), "t", INCOMPATIBLE),
        (TABLE, table_entry("e", 2), "t", INCOMPATIBLE),
        (TABLE, table_entry("e", 1, NONE), "e", INCOMPATIBLE),
        (TABLE, table_entry("e", 1), "e", ""),
        (TABLE, table_entry("r", 0), "f", INCOMPATIBLE),
        (MEMORY, limits(1, 3), "m", ""),
        (MEMORY, limits(0, 65536), "m", ""),
        (MEMORY, limits(2), "m", INCOMPATIBLE),
        (MEMORY, limits(1, 2), "m", INCOMPATIBLE),
        (MEMORY, limits(0), "g", INCOMPATIBLE),
        (GLOBAL, global_entry("i", False), "g", ""),
        (GLOBAL, global_entry("i", True), "v", ""),
        (GLOBAL, global_entry("i", True), "g", INCOMPATIBLE),
        (GLOBAL, global_entry("i", False), "v", INCOMPATIBLE),
        (GLOBAL, global_entry("l", False), "g", INCOMPATIBLE),
        (GLOBAL, global_entry("i", False), "m", INCOMPATIBLE),
    ],
)
def test_import_types(engine: Engine, kind: int, description: bytes, export: str, message: str) -> None:
    exporter = engine.load(EXPORTER)
    image = Image(
        types=[func_type("", "i"), func_type("i", "i")],
        imports=[import_entry("m", "x", kind, description)],
    )
    found = ""
    try:
        engine.load(image, [exporter.exported(export)])
    except CoreError as error:
        found = error.message
    assert found == message


@pytest.mark.parametrize(
    ("kind", "description"),
    [(TABLE, table_entry("r", 0)), (MEMORY, limits(0)), (GLOBAL, global_entry("i", False))],
)
def test_only_functions_may_be_missing(engine: Engine, kind: int, description: bytes) -> None:
    with pytest.raises(CoreError) as error:
        engine.load(Image(imports=[import_entry("m", "x", kind, description)]), [NO_IMPORT])
    assert error.value.message == "unknown import"


@pytest.mark.parametrize("kind", [FUNC, TABLE, MEMORY, GLOBAL])
def test_index_out_of_range(engine: Engine, kind: int) -> None:
    exporter = engine.load(EXPORTER)
    description = {
        FUNC: unsigned(0), TABLE: table_entry("r", 0), MEMORY: limits(0),
        GLOBAL: global_entry("i", False),
    }[kind]  # fmt: skip
    image = Image(types=[func_type("")], imports=[import_entry("m", "x", kind, description)])
    for index in (2, 1000):
        with pytest.raises(CoreError) as error:
            engine.load(image, [Import(f"{exporter.number}:{kind}:{index}")])
        assert error.value.message == INCOMPATIBLE


def user_of(exporter_table: bool = True) -> Image:
    """Imports all that EXPORTER has; writes a function of its own into the table."""
    return Image(
        types=[func_type("", "i"), func_type("i", "i"), func_type("i")],
        imports=[
            import_entry("m", "id", FUNC, unsigned(1)),
            import_entry("m", "t", TABLE, table_entry("r", 2)),
            import_entry("m", "m", MEMORY, limits(1)),
            import_entry("m", "v", GLOBAL, global_entry("i", True)),
        ],
        functions=[
            (1, Body("CALL 0\n I32_ADD_IMM r0 r0 1\n RET", leaf=False)),
            (0, Body("I32_CONST r0 77\n RET")),
            (2, Body("GLOBAL_SET r0 0\n I32_CONST r1 9\n STORE8 r0 r1 0\n RET")),
            (1, Body("CALL_RT MEMORY_GROW 0 0\n RET", leaf=False)),
        ],
        exports=[export_entry("f", FUNC, 1), export_entry("set", FUNC, 3), export_entry("grow", FUNC, 4)],
        elements=[active_elements(0, 1, [ref_func(2)])] if exporter_table else [],
    )  # fmt: skip


NAMES = ("id", "t", "m", "v")
CALLER = replace(
    EXPORTER,
    functions=[
        *EXPORTER.functions,
        (1, Body("MOV r7 r0\n CALL_INDIRECT 0 0\n RET", leaf=False)),
        (0, Body("MEMORY_SIZE r0 0\n RET")),
    ],
    exports=[*EXPORTER.exports, export_entry("indirect", FUNC, 2), export_entry("size", FUNC, 3)],
)


def test_shared_things(engine: Engine) -> None:
    exporter = engine.load(CALLER)
    user = engine.load(user_of(), [exporter.exported(name) for name in NAMES])
    assert user.call("f", 5) == [6]
    user.call("set", 0x42)
    assert exporter.global_get(1)[1] == 0x42
    assert exporter.read(9, 1) == b"\x42"
    exporter.global_set(1, 8)
    assert user.global_get(0)[1] == 8
    assert user.call("grow", 2) == [1]
    assert exporter.memory_size() == user.memory_size() == 3 * 65536
    assert exporter.call("size") == [3]
    assert exporter.call("indirect", 1) == [77]


def test_functions_in_tables_outlive_their_instance(engine: Engine) -> None:
    exporter = engine.load(CALLER)
    user = engine.load(user_of(), [exporter.exported(name) for name in NAMES])
    user.drop()
    assert exporter.call("indirect", 1) == [77]
    assert outcome(exporter, "indirect", 0) == "uninitialized element"


def test_importers_keep_what_they_import(engine: Engine) -> None:
    exporter = engine.load(CALLER)
    user = engine.load(user_of(), [exporter.exported(name) for name in NAMES])
    exporter.drop()
    assert user.call("f", 5) == [6]
    user.call("set", 1)
    assert user.read(9, 1) == b"\1"


def test_instances_without_shared_tables_are_freed(engine: Engine) -> None:
    first = engine.load(program("RET"))
    before = engine.core.allocations()
    image = replace(EXPORTER, tables=[table_entry("r", 2)], exports=[export_entry("id", FUNC, 1)])
    exporter = engine.load(image)
    user = engine.load(
        Image(
            types=[func_type("i", "i")],
            imports=[import_entry("m", "id", FUNC, unsigned(0))],
            exports=[export_entry("f", FUNC, 0)],
        ),
        [exporter.exported("id")],
    )
    held = engine.core.allocations()
    exporter.drop()
    assert engine.core.allocations() == held
    assert user.call("f", 3) == [3]
    user.drop()
    # What is left are the images, which the driver still has, and canonical types.
    freed = held - engine.core.allocations()
    assert freed >= 5
    assert engine.core.allocations() > before
    first.drop()


def test_reexports_are_bound_directly(engine: Engine) -> None:
    """A function passed on through many instances is one call away."""
    exporter = engine.load(EXPORTER)
    pass_on = Image(
        types=[func_type("i", "i")],
        imports=[import_entry("m", "id", FUNC, unsigned(0))],
        functions=[(0, Body("CALL 0\n RET", leaf=False))],
        exports=[export_entry("id", FUNC, 0), export_entry("f", FUNC, 1)],
    )
    instance = exporter
    for _ in range(200):
        instance = engine.load(pass_on, [instance.exported("id")])
    assert instance.call("f", 5) == [5]
    assert instance.call("id", 6) == [6]


def test_results_from_another_instance(engine: Engine) -> None:
    """Further results, which each instance keeps in a place of its own."""
    exporter = engine.load(program("RESULT_STORE r1 1\n FRESULT_STORE f0 2\n RET", "ild", "ild"))
    source = "CALL 0\n RESULT_LOAD r1 1\n FRESULT_LOAD f0 2\n RESULT_STORE r1 1\n FRESULT_STORE f0 2\n RET"
    user = engine.load(importing("ild", "ild", source, ("ild", "ild")), [exporter.exported("f")])
    values = [0x80000000, 1 << 63, 0x3FF0000000000000]
    assert user.call("f", *values) == values
    assert user.call("g", *values) == values


def test_segments_out_of_bounds(engine: Engine) -> None:
    """What was written before the trap stays, also in what is shared."""
    exporter = engine.load(CALLER)
    base = user_of()
    written = b"\0\0\1" + text("x")
    too_far = [integer(65536) + text("y"), integer(-1) + text("yz"), integer(65537) + text("")]
    cases = [(replace(base, data=[written, b"\0" + one]), MEMORY_TRAP) for one in too_far]
    elements = [*base.elements, active_elements(0, 2, [NULL])]
    cases.append((replace(base, elements=elements), TABLE_TRAP))
    for image, message in cases:
        exporter.write(1, b"\0")
        with pytest.raises(Trap) as trap:
            engine.load(image, [exporter.exported(name) for name in NAMES])
        assert trap.value.text == message
        assert exporter.call("indirect", 1) == [77]
        assert exporter.read(1, 1) == (b"x" if image.data else b"\0")


def test_globals_from_globals(engine: Engine) -> None:
    exporter = engine.load(EXPORTER)
    image = Image(
        types=[func_type("")],
        imports=[import_entry("m", "g", GLOBAL, global_entry("i", False))],
        globals=[
            global_entry("i", True, global_value(0)),
            global_entry("r", False, ref_func(0)),
            global_entry("l", False, integer(-(1 << 63))),
            global_entry("i", False, integer(-1)),
        ],
        functions=[(0, Body())],
        memories=[limits(1)],
        data=[b"\0" + global_value(0) + text("here")],
    )
    instance = engine.load(image, [exporter.exported("g")])
    assert [instance.global_get(i)[1] for i in (0, 1, 3, 4)] == [5, 5, 1 << 63, NONE]
    assert instance.global_get(2)[1] != NONE
    instance.call_ref(instance.global_get(2)[1])
    assert instance.read(5, 4) == b"here"
    instance.global_set(1, 0xABCDEF0123456789)
    assert instance.global_get(1)[1] == 0x23456789
    with pytest.raises(CoreError):
        instance.global_set(3, 1)


def test_calls_by_reference(engine: Engine) -> None:
    instance = engine.load(RECURSE, [host("call_table")])
    for reference in (NONE - 1, 1000):
        with pytest.raises(Trap) as trap:
            instance.call_ref(reference)
        assert trap.value.text == "bad argument to a host function"
    with pytest.raises(Trap) as trap:
        instance.call_ref(NONE)
    assert trap.value.text == "uninitialized element"
    instance.call_table(0, 1)
    for element, like, message in (
        (0, 0, "indirect call type mismatch"), (1, 1, "undefined element"), (NONE, 1, "undefined element"),
    ):  # fmt: skip
        with pytest.raises(Trap) as trap:
            instance.call_table(element, like)
        assert trap.value.text == message


def test_names(engine: Engine) -> None:
    """For the log: nothing in them can fake a line of it."""
    image = replace(program("RET"), names=["evil\n\x1b[31m name\xff"])
    instance = engine.load(image)
    assert instance.function_name(0) == "evil??[31m?name??"
    assert instance.function_name(1) == ""


def test_export_names(engine: Engine) -> None:
    """Any bytes, NUL included; of two alike the first."""
    names = ["", "a\0b", "a", "ä", "x" * 4096, "a"]
    image = replace(
        program("RET"), exports=[export_entry(name, FUNC, 0) for name in names[:-1]]
        + [export_entry("a", MEMORY, 0)],
    )  # fmt: skip
    instance = engine.load(image)
    for name in names:
        assert instance.find(name) == (FUNC, 0)
    for name in ("b", "a\0", "x" * 4095):
        with pytest.raises(CoreError):
            instance.find(name)


def test_start_function(engine: Engine) -> None:
    """Found, not run: that is the caller's to do."""
    assert engine.load(replace(program("UNREACHABLE"), start=0)).start_function() == 0
    assert engine.load(program("UNREACHABLE")).start_function() is None


def test_statistics(engine: Engine) -> None:
    stats = engine.load(program("RET")).stats()
    assert stats["functions_jitted"] == (1 if engine.name == JIT else 0)
    assert stats["functions_interpreted"] == (0 if engine.name == JIT else 1)
    assert (stats["code_bytes"] > 0) == (engine.name == JIT)
    assert (0 < stats["jit_ns"] < 60e9) == (engine.name == JIT)


def test_types_of_many(engine: Engine) -> None:
    """Canonical types: equal ones are one, however many there are."""
    letters = ["".join("ilfd"[n >> 2 * k & 3] for k in range(5)) for n in range(1024)]
    kinds = {"i": "I32_CONST r", "l": "I64_CONST r", "f": "F32_CONST f", "d": "F64_CONST f"}
    counts = {"r": 0, "f": 0}
    source = "MOV r7 r0\n"
    for letter in letters[517]:
        register = kinds[letter][-1]
        source += f"{kinds[letter]}{counts[register]} 0\n"
        counts[register] += 1
    caller = Body(f"{source} CALL_INDIRECT 517 0\n RET", leaf=False)
    image = Image(
        types=[*map(func_type, letters), *map(func_type, letters), func_type("i")],
        functions=[(1024 + n, Body()) for n in range(1024)] + [(2048, caller)],
        tables=[table_entry("r", 1024)],
        exports=[export_entry("f", FUNC, 1024)],
        elements=[active_elements(0, 0, [ref_func(n) for n in range(1024)])],
    )
    instance = engine.load(image)
    for element in range(1024):
        expected: list[int] | str = [] if element == 517 else "indirect call type mismatch"
        assert outcome(instance, "f", element) == expected


def test_references_to_imported_functions(engine: Engine) -> None:
    """They are those of the original, whatever instances they were passed on through."""
    exporter = engine.load(EXPORTER)
    ref = Body("CALL_RT REF_FUNC 0 0\n RET", leaf=False)
    pass_on = Image(
        types=[func_type("", "i"), func_type("", "r")],
        imports=[import_entry("m", "f", FUNC, unsigned(0))],
        functions=[(1, ref)],
        globals=[global_entry("r", False, ref_func(0))],
        exports=[
            export_entry("f", FUNC, 0),
            export_entry("ref", FUNC, 1),
            export_entry("g", GLOBAL, 0),
        ],
    )
    first = engine.load(pass_on, [exporter.exported("f")])
    second = engine.load(pass_on, [first.exported("f")])
    reference = first.call("ref")[0]
    assert second.call("ref") == [reference]
    assert second.global_get(0)[1] == reference
    # A global's value in an element segment, and called through the table.
    user = Image(
        types=[func_type("", "i"), func_type("i", "i")],
        imports=[import_entry("m", "g", GLOBAL, global_entry("r", False))],
        functions=[(1, Body("MOV r7 r0\n CALL_INDIRECT 0 0\n RET", leaf=False))],
        tables=[table_entry("r", 3)],
        exports=[export_entry("f", FUNC, 0)],
        elements=[active_elements(0, 1, [global_value(0), NULL])],
    )
    assert engine.load(user, [second.exported("g")]).call("f", 1) == [1]


def test_engines_mix(engine: Engine) -> None:
    """Instances of both engines in one store: calls, results, traps, tables."""
    if engine.name == INTERP:
        # The sanitized core has no JIT, and does not pretend to have one.
        with pytest.raises(CoreError) as error:
            engine.core.instance(engine.core.image(CALLER.build()), [], JIT)
        assert (error.value.code, error.value.message) == (-38, "built without a JIT")
        return
    for first, second in ((INTERP, JIT), (JIT, INTERP)):
        exporter = engine.core.instance(engine.core.image(CALLER.build()), [], first)
        imports = [exporter.exported(name) for name in NAMES]
        user = engine.core.instance(engine.core.image(user_of().build()), imports, second)
        assert user.call("f", 5) == [6]
        assert exporter.call("indirect", 1) == [77]
        assert outcome(exporter, "indirect", 0) == "uninitialized element"
        callee = program("RESULT_STORE r1 1\n FRESULT_STORE f1 2\n RET", "ildf", "dlf")
        two = engine.core.instance(engine.core.image(callee.build()), [], first)
        source = "CALL 0\n RESULT_LOAD r1 1\n FRESULT_LOAD f1 2\n"
        source += "RESULT_STORE r1 1\n FRESULT_STORE f1 2\n RET"
        caller = engine.core.instance(
            engine.core.image(importing("ildf", "dlf", source, ("ildf", "dlf")).build()),
            [two.exported("f")],
            second,
        )
        values = [7, 1 << 63, 0x4000000000000001, 0x80000000]
        assert caller.call("f", *values) == [values[2], values[1], values[3]]
        trapping = engine.core.instance(engine.core.image(program("UNREACHABLE").build()), [], first)
        caller = engine.core.instance(
            engine.core.image(importing("", "", "CALL 0\n RET").build()),
            [trapping.exported("f")],
            second,
        )
        assert outcome(caller, "f") == "unreachable"
        assert trapping.backtrace() == [(0, 0)]
        assert caller.backtrace() == [(1, 0)]
