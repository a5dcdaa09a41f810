# SPDX-License-Identifier: GPL-2.0-only
"""Man pages and completion: every command and option is there, each time the same."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import gen_docs
import pytest

from pywasmjit import cli

COMMANDS = list(gen_docs.walk(cli.build_parser()))


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("docs")
    gen_docs.write(output)
    return output


def plain(page: str) -> str:
    """Roff source without fonts and escapes."""
    for escape, text in (("\\-", "-"), ("\\fB", ""), ("\\fI", ""), ("\\fR", ""), ("\\e", "\\")):
        page = page.replace(escape, text)
    return page


def test_commands() -> None:
    names = [" ".join(command.words) for command in COMMANDS]
    assert names[0] == "" and {"exec", "compile", "validate", "objdump", "wast", "vm run"} <= set(names)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_man_page(command: gen_docs.Command, docs: Path) -> None:
    """Every option and operand, with its help; groff has nothing to complain about."""
    path = docs / "man" / f"{command.name}.1"
    text = plain(path.read_text())
    for action in (*command.options, *command.operands):
        assert action.help, f"{command.name}: {action.option_strings or action.dest} has no help"
        assert command.help_of(action) in text
        for name in action.option_strings:
            assert name in text
    for code in ("2", "65", "66", "69", "70", "71", "73", "77", "130", "141"):
        assert f".TP\n{code}\n" in text
    if not command.words:
        for other in COMMANDS[1:]:
            assert f"{other.name}(1)" in text
    if shutil.which("groff"):
        done = subprocess.run(
            ["groff", "-man", "-Tascii", "-ww", path], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""


def test_same_each_time(docs: Path, tmp_path: Path) -> None:
    for path in gen_docs.write(tmp_path):
        assert path.read_bytes() == (docs / path.relative_to(tmp_path)).read_bytes()


def test_pages_of_commands_that_are_gone_go(tmp_path: Path) -> None:
    stale = tmp_path / "man" / "pywasmjit-gone.1"
    stale.parent.mkdir()
    stale.touch()
    gen_docs.write(tmp_path)
    assert not stale.exists()


def complete(docs: Path, *words: str) -> set[str]:
    """What bash suggests for the last word."""
    script = """
        source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _pywasmjit && printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-u", "-c", script, "-", docs / "completion" / "pywasmjit", "pywasmjit", *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_completion_of_options(command: gen_docs.Command, docs: Path) -> None:
    expected = {name for action in command.options for name in action.option_strings}
    assert complete(docs, *command.words, "-") == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["obj"], {"objdump"}),
        (["-v", "comp"], {"compile"}),
        (["vm", "sh"], {"shell"}),
        (["exec", "--host", ""], {"auto", "kernel", "user"}),
        (["exec", "--host", "=", "k"], {"kernel"}),
        (["exec", "--host", "="], {"auto", "kernel", "user"}),
        (["exec", "--tr"], {"--trace"}),
        (["exec", "hel"], set()),  # file names
        (["compile", "-o", ""], set()),
    ],
)
def test_completion(words: list[str], expected: set[str], docs: Path) -> None:
    assert complete(docs, *words) == expected
