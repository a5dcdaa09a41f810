#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Write man pages and bash completion from the command line's own parser.

    gen_docs.py [--output DIR]      DIR/man/pywasmjit*.1, DIR/completion/pywasmjit

One page for pywasmjit and one per command.  The output depends on the parser only: no dates.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pywasmjit import __version__  # noqa: E402
from pywasmjit.cli import EXAMPLES, EXIT_CODES, build_parser  # noqa: E402

EXIT_CODE = re.compile(r"(\d+) +(\S.*?)(?=  |$)", re.MULTILINE)
ENVIRONMENT = {
    "PYWASMJIT_CACHE": "Directory of compiled images.  Default: /var/cache/pywasmjit/images for root, else "
                       "pywasmjit/images below $XDG_CACHE_HOME or ~/.cache.  Not used if others may write.",
    "PYWASMJIT_LAUNCHER": "The program that runs guests (pywasmjit-launch), in place of the installed one.",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A parser and the words that lead to it; () is pywasmjit itself."""

    words: tuple[str, ...]
    summary: str
    parser: argparse.ArgumentParser

    @property
    def name(self) -> str:
        return "-".join(("pywasmjit", *self.words))

    @property
    def options(self) -> list[argparse.Action]:
        return [a for a in self.parser._actions if a.option_strings and a.help != argparse.SUPPRESS]

    @property
    def operands(self) -> list[argparse.Action]:
        actions = self.parser._actions
        return [a for a in actions if not a.option_strings and not isinstance(a, argparse._SubParsersAction)]

    def help_of(self, action: argparse.Action) -> str:
        """Its help with defaults filled in."""
        return self.parser._get_formatter()._expand_help(action) if action.help else ""


def walk(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = (), summary: str = ""
) -> Iterator[Command]:
    """The parser and all commands below it, in the order of the help."""
    yield Command(words, summary or (parser.description or "").strip().rstrip("."), parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                yield from walk(below, (*words, name), helps.get(name, ""))


def value_of(action: argparse.Action) -> str:
    """What stands for an option's value, "" if it takes none."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


# ---------------------------------------------------------------------------- man pages


def roff(text: str) -> str:
    """Plain text as roff source."""
    lines = []
    for line in text.replace("\\", "\\e").replace("-", "\\-").splitlines():
        lines.append("\\&" + line if line[:1] in (".", "'") else line)
    return "\n".join(lines)


def option_text(action: argparse.Action) -> str:
    """-o, --output IMAGE."""
    value = value_of(action)
    text = ", ".join(f"\\fB{roff(name)}\\fR" for name in action.option_strings)
    return f"{text} \\fI{roff(value)}\\fR" if value else text


def operand_text(action: argparse.Action) -> str:
    name = f"\\fI{roff(value_of(action))}\\fR"
    if action.nargs in ("*", argparse.REMAINDER):
        return f"[{name} ...]"
    return name


def synopsis(command: Command, commands: list[Command]) -> str:
    parts = [f"\\fB{roff(' '.join(('pywasmjit', *command.words)))}\\fR"]
    for action in command.options:
        value = value_of(action)
        text = f"\\fB{roff(action.option_strings[0])}\\fR" + (f" \\fI{roff(value)}\\fR" if value else "")
        parts.append(text if action.required else f"[{text}]")
    parts += map(operand_text, command.operands)
    if children(command, commands):
        parts.append("\\fICOMMAND\\fR ...")
    return "\n".join(parts)


def children(command: Command, commands: list[Command]) -> list[Command]:
    return [c for c in commands if c.words[:-1] == command.words and c.words]


def entries(command: Command, commands: list[Command]) -> Iterator[tuple[str, str]]:
    """Paragraphs with a tag, by section: (section, "") starts one, else (tag, text)."""
    if below := children(command, commands):
        yield "COMMANDS", ""
        for child in below:
            yield f"\\fB{roff(child.words[-1])}\\fR", f"{roff(child.summary)}; see {roff(child.name)}(1)."
    if command.operands:
        yield "OPERANDS", ""
        for action in command.operands:
            yield operand_text(action), roff(command.help_of(action)) or "\\&"
    yield "OPTIONS", ""
    for action in command.options:
        yield option_text(action), roff(command.help_of(action)) or "\\&"
    yield "EXIT STATUS", ""
    for number, text in sorted(EXIT_CODE.findall(EXIT_CODES), key=lambda found: int(found[0])):
        yield f"\\fB{number}\\fR", roff(text)
    yield "ENVIRONMENT", ""
    for name, text in ENVIRONMENT.items():
        yield f"\\fB{name}\\fR", roff(text)


def man_page(command: Command, commands: list[Command]) -> str:
    """The page's source."""
    description = (command.parser.description or f"{command.summary.capitalize()}.").strip()
    lines = [
        '.\\" Made by scripts/gen_docs.py.',
        f'.TH "{roff(command.name.upper())}" 1 "" "pywasmjit {__version__}" "User Commands"',
        ".SH NAME", f"{roff(command.name)} \\- {roff(command.summary)}",
        ".SH SYNOPSIS", ".nh", synopsis(command, commands), ".hy",
        ".SH DESCRIPTION", roff(description),
    ]  # fmt: skip
    for tag, text in entries(command, commands):
        lines += [".TP", tag, text] if text else [f".SH {tag}"]
        if tag == "EXIT STATUS" and command.words in ((), ("exec",)):
            lines.append("exec passes the guest's exit status and fatal signal through.  pywasmjit's own:")
    if not command.words:
        shown = [line for line in EXAMPLES.splitlines() if line.startswith("  ")]
        lines += [".SH EXAMPLES", ".nf", *map(roff, shown), ".fi"]
    related = [c for c in commands if c.words and c is not command] if not command.words else commands[:1]
    lines += [".SH SEE ALSO", ", ".join(f"\\fB{roff(c.name)}\\fR(1)" for c in related)]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------- completion

COMPLETION = """\
# SPDX-License-Identifier: GPL-2.0-only
# bash completion for pywasmjit; made by scripts/gen_docs.py.
_pywasmjit()
{{
	local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command='' words='' i

	COMPREPLY=()
	# --option=value arrives as three words.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${{COMP_WORDS[COMP_CWORD - 2]}}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case "$command/${{COMP_WORDS[i]}}" in
{commands}
		esac
	done
	case "$command $prev" in
{values}
	esac
	case "$command" in
{words}
	esac
	# Nothing suggested: file names (complete -o default).
	[[ $cur == -* || $words != -* ]] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	return 0
}}
complete -o bashdefault -o default -F _pywasmjit pywasmjit
"""


def completion(commands: list[Command]) -> str:
    """The script; words of commands with commands below them come before their options."""
    paths, values, words = [], [], []
    for command in commands:
        path = "/".join(("", *command.words))
        if command.words:
            paths.append(f"\t\t'{path}') command='{path}' ;;")
        for action in command.options:
            if action.nargs == 0:
                continue
            names = " | ".join(f"'{path} {name}'" for name in action.option_strings)
            lines = [f"\t{names})", "\t\treturn 0 ;;"]
            if action.choices:
                choices = " ".join(map(str, action.choices))
                lines.insert(1, f"\t\tmapfile -t COMPREPLY < <(compgen -W '{choices}' -- \"$cur\")")
            values += lines
        suggested = [child.words[-1] for child in children(command, commands)]
        suggested += [name for action in command.options for name in action.option_strings]
        words.append(f"\t'{path}') words='{' '.join(suggested)}' ;;")
    return COMPLETION.format(commands="\n".join(paths), values="\n".join(values), words="\n".join(words))


def write(output: Path) -> list[Path]:
    """Write all files; their paths."""
    commands = list(walk(build_parser()))
    files = {output / "man" / f"{c.name}.1": man_page(c, commands) for c in commands}
    files[output / "completion" / "pywasmjit"] = completion(commands)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for stale in set((output / "man").glob("*.1")) - set(files):
        stale.unlink()
    return list(files)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write man pages and bash completion.")
    parser.add_argument("--output", type=Path, default=ROOT / "build", help="default: build")
    for path in write(parser.parse_args().output):
        print(f"  DOCS   {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
