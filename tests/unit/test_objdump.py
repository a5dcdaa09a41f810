# SPDX-License-Identifier: GPL-2.0-only
"""objdump: the three forms of a small module's functions, and what it says where one is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lowering import assemble

from pywasmjit import cli, launch, objdump

WAT = """
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $leave (param i32)))
  (memory 1)
  (func $double (param i32) (result i32) (local i64 i64)
    (if (local.get 0) (then (return (i32.shl (local.get 0) (i32.const 1)))))
    (i32.const 7))
  (func $main (export "_start") (call $leave (call $double (i32.const 4)))))
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYWASMJIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def wasm(tmp_path: Path) -> Path:
    path = tmp_path / "some.wasm"
    path.write_bytes(assemble(WAT))
    return path


@pytest.fixture
def image(wasm: Path) -> Path:
    path = wasm.with_suffix(".image")
    assert cli.main(["compile", str(wasm), "-o", str(path)]) == 0
    return path


def dump(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert cli.main(["objdump", *map(str, arguments)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def part(text: str, function: str, form: str) -> list[str]:
    """Lines of one form of one function, without offsets and white space."""
    block = text.split(f"<{function}> ", 1)[1].split("\n\n")[0]
    after = block.split(f"\n  {form}:\n", 1)[1].splitlines()
    found = []
    for line in after:
        if not line.startswith("    "):
            break
        found.append(line.strip().partition(": ")[2] if form != "bytecode" else line.strip())
    return found


def test_all_forms(wasm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("capstone")
    text = dump(capsys, wasm)
    assert text.startswith(f"{wasm}: module, 1 imported and 2 own functions\n")
    assert "\nimport 0 <leave> i32 -> ()\n" in text
    assert "\nfunction 1 <double> i32 -> i32\n" in text
    assert "\nfunction 2 <main> () -> ()\n" in text
    assert part(text, "double", "wasm")[:2] == ["2 i64", "local.get 0"]
    assert part(text, "main", "wasm") == ["i32.const 4", "call 1 <double>", "call 0 <leave>", "end"]
    assert part(text, "main", "bytecode") == [
        "I32_CONST r0, 4", "CALL func 1 <double>", "CALL func 0 <leave>", "RET",
    ]
    machine = [line[31:] for line in part(text, "main", "machine code")]
    assert "mov eax, 4" in machine and "ret" in machine
    assert any(line.startswith("call ") and line.endswith(" <double>") for line in machine)
    assert any(line == "call 0 <leave>" for line in machine)
    assert "int3" not in machine


def test_blocks_are_indented(wasm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = dump(capsys, wasm, "--function", "double")
    assert ": if\n" in text and ":   local.get 0\n" in text and ": end\n" in text


def test_same_each_time(wasm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the code happened to lie does not show."""
    assert dump(capsys, wasm) == dump(capsys, wasm)


@pytest.mark.parametrize("wanted", ["main", "2"])
def test_one_function(wanted: str, wasm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = dump(capsys, "--function", wanted, wasm)
    assert "function 2 <main>" in text
    assert "function 1 " not in text and "import 0" not in text


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("nobody", "no function named 'nobody'"), ("3", "no function 3: the module has 3")],
)
def test_no_such_function(
    wanted: str, message: str, wasm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["objdump", "--function", wanted, str(wasm)]) == 2
    assert message in capsys.readouterr().err


def test_image(wasm: Path, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = dump(capsys, image)
    assert text.startswith(f"{image}: image, 1 imported and 2 own functions\nno wasm: ")
    assert "  wasm:\n" not in text
    assert part(text, "double", "bytecode") == part(dump(capsys, wasm), "double", "bytecode")


def test_without_capstone(
    wasm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    text = dump(capsys, wasm)
    assert "no machine code: capstone is not installed: pip install capstone\n" in text
    assert "  machine code:" not in text and "  bytecode:" in text


def test_without_launcher(
    wasm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYWASMJIT_LAUNCHER", "/nowhere/launcher")
    text = dump(capsys, wasm)
    assert "no machine code: $PYWASMJIT_LAUNCHER is /nowhere/launcher" in text
    assert "  bytecode:" in text


def test_damaged_image(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image.write_bytes(image.read_bytes()[:-3])
    assert cli.main(["objdump", str(image)]) == 65
    error = capsys.readouterr().err
    assert error.startswith(f"pywasmjit: {image}: bad image: ") and error.count("\n") == 1


def test_machine_code_of_all_functions(wasm: Path) -> None:
    """What --dump-code writes: rising starts, all within the code."""
    descriptor = launch.image_of(wasm.read_bytes(), lambda text: None)
    code = objdump.machine_code(descriptor)
    assert len(code.starts) == 3 and list(code.starts) == sorted(code.starts)
    assert 0 < code.starts[2] < len(code.code)
    assert code.base < 1 << 31


def test_nothing_runs() -> None:
    """A module that traps in its start function is dumped all the same."""
    data = assemble("(module (func $trap unreachable) (start $trap))")
    descriptor = launch.image_of(data, lambda text: None)
    assert objdump.machine_code(descriptor).code


def test_nobody_reads(wasm: Path) -> None:
    command = f"{sys.executable} -m pywasmjit.cli objdump {wasm} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert done.returncode in (0, 141) and done.stderr == b""
