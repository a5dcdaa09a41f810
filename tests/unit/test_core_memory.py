# SPDX-License-Identifier: GPL-2.0-only
"""Every allocation fails once: an error that says so, nothing crashes, nothing is left over."""

from __future__ import annotations

import pytest

from tests.native.libcore import INTERP, JIT, Core, CoreError, Import, Trap, host
from tests.unit.core_engines import Engine
from tests.verify.assemble import (
    FUNC,
    GLOBAL,
    MEMORY,
    TABLE,
    Body,
    Image,
    active_elements,
    export_entry,
    func_type,
    global_entry,
    import_entry,
    integer,
    limits,
    ref_func,
    table_entry,
    text,
    unsigned,
)

EXPORTER = Image(
    types=[func_type("i", "i"), func_type("ilfd", "dl")],
    imports=[import_entry("m", "print", FUNC, unsigned(0))],
    functions=[
        (0, Body("MOV r7 r0\n CALL_INDIRECT 0 0\n RET", leaf=False)),
        (1, Body("FMOV f0 f1\n RESULT_STORE r1 1\n RET", slots=(3, 3, 3, 3, 3))),
        (0, Body("CALL_RT MEMORY_GROW 0 0\n RET", leaf=False)),
        (0, Body("MOV r1 r0\n REF_NULL r0 0\n CALL_RT TABLE_GROW 1 0\n RET", leaf=False)),
    ],
    tables=[table_entry("r", 3), table_entry("e", 1)],
    memories=[limits(1, 5)],
    globals=[global_entry("i", True, integer(1))],
    exports=[
        export_entry("call", FUNC, 1), export_entry("two", FUNC, 2), export_entry("grow", FUNC, 3),
        export_entry("table", FUNC, 4), export_entry("t", TABLE, 0), export_entry("m", MEMORY, 0),
        export_entry("g", GLOBAL, 0),
    ],
    elements=[active_elements(0, 0, [ref_func(0), ref_func(3)])],
    data=[b"\0\0\1" + text("data")],
)  # fmt: skip
IMPORTER = Image(
    types=[func_type("ilfd", "dl"), func_type("i")],
    imports=[
        import_entry("m", "two", FUNC, unsigned(0)),
        import_entry("m", "t", TABLE, table_entry("r", 1)),
        import_entry("m", "m", MEMORY, limits(1)),
        import_entry("m", "g", GLOBAL, global_entry("i", True)),
    ],
    functions=[(0, Body("CALL 0\n RESULT_LOAD r1 1\n RESULT_STORE r1 1\n RET", leaf=False))],
    exports=[export_entry("f", FUNC, 1)],
    elements=[active_elements(0, 2, [ref_func(1)])],
)


def run(core: Core, engine: str) -> tuple[bool, str]:
    """Load, link and run all; was it whole, and what did the first failure say?"""
    try:
        first = core.instance(core.image(EXPORTER.build()), [host("print")], engine)
        imports = [first.exported(name) for name in ("two", "t", "m", "g")]
        second = core.instance(core.image(IMPORTER.build()), imports, engine)
        assert second.call("f", 1, 2, 3, 4) == [4, 2]
        # What fails within the guest is -1 there, as WebAssembly has it.
        whole = first.call("call", 1) == [1] and first.call("table", 1) == [1]
        whole &= first.call("call", 0) == [0]
        return whole, "" if whole else "-1"
    except CoreError as error:
        assert error.code == -12, error
        return False, error.message
    except Trap as trap:
        assert trap.text == "out of memory"
        return False, trap.text


@pytest.mark.parametrize("engine", [INTERP, JIT])
def test_each_allocation_fails(engine: str) -> None:
    with Engine(engine).core as core:
        failures = 0
        for after in range(1000):
            core.fail_allocation(after)
            whole, message = run(core, engine)
            assert core.reset() == 0, f"allocation {after}: left over after {message!r}"
            if whole:
                break
            assert message in ("out of memory", "-1"), message
            failures += 1
        assert 20 < failures < 200
        # With nothing failing, it works after all of that.
        assert run(core, engine) == (True, "")


def test_imports_survive_a_failed_importer() -> None:
    """An importer that could not be made lets go of what it had taken."""
    with Core("sanitize") as core:
        first = core.instance(core.image(EXPORTER.build()), [host("print")])
        image = core.image(IMPORTER.build())
        imports = [first.exported(name) for name in ("two", "t", "m", "g")]
        before = core.allocations()
        for after in range(100):
            core.fail_allocation(after)
            try:
                core.instance(image, imports)
                break
            except CoreError:
                # Canonical types stay with the store.
                assert core.allocations() - before <= 4
        else:
            raise AssertionError("never works")
        with pytest.raises(CoreError):
            core.instance(image, [*imports[:3], Import(imports[3].text + "9")])
        assert first.call("call", 1) == [1]
        core.fail_allocation(-1)
        assert core.reset() == 0
