# SPDX-License-Identifier: GPL-2.0-only
"""Does a test fail for each rule of the verifier?  ``python -m tests.verify.mutate_rules``.

In a copy of image.c and verify.c every condition that leads to a rejection, term by term, and
every statement that changes the verifier's state, gets a number; WJ_DISABLED, read when the
driver starts, switches one of them off.  tests/verify runs against each, under sanitizers.
Prints `file:line  rule  ->  the test that fails`; exits 1 if a rule has none.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.native import libcore
from tests.verify.assemble import Image
from tests.verify.samples import SAMPLES, sample_image
from tests.verify.test_image import CASES
from tests.verify.test_operands import wrong_operands
from tests.verify.test_rules import RULES

ROOT: Final = Path(__file__).resolve().parent.parent.parent
CORE: Final = ROOT / "kmod" / "core"
BUILD: Final = ROOT / "build" / "mutate-rules"
FILES: Final = ("image.c", "verify.c")

PROLOGUE: Final = """
extern char *getenv(const char *);
extern int atoi(const char *);
/* Is rule n on? */
static inline bool rule_on(int n)
{
	static int disabled = -1;

	if (disabled < 0)
		disabled = getenv("WJ_DISABLED") ? atoi(getenv("WJ_DISABLED")) : 0;
	return n != disabled;
}
"""

#: Statements that change what the verifier knows, each a rule as well.
EFFECT: Final = re.compile(
    r"^\t+(v->called = NULL;|v->(result_)?generation\+\+;|v->s\.\w+ = [^;]*;|undefine_ints\([^;]*\);"
    r"|define\(&v->s, [^;]*\);|v->f->\w+ \|= [^;]*;|v->budget -= [^;]*;|memset\(v->slots [^;]*\);|s->\w+ &= [^;]*;)$",
    re.M,
)

#: Rules that no image can break alone, and why.
EQUIVALENT: Final[dict[str, str]] = {
    "verify.c further result is not stored: v->results[i].type != value_type(type->results[i])":
        "RESULT_STORE has checked the type",
    "verify.c unknown format": "the compiler wants a case for each format",
    "verify.c s->i64 &= ~mask;": "types are looked at only where ints has the bit",
    "verify.c s->ref &= ~mask;": "types are looked at only where ints has the bit",
    "verify.c v->s.f64 = 0;": "types are looked at only where floats has the bit",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    number: int
    file: str
    line: int
    text: str

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}"


def split_top(text: str, operator: str) -> list[str]:
    """The terms of a C expression, split at its outermost && or ||."""
    terms, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += c in "([{"
        depth -= c in ")]}"
        if not depth and text.startswith(operator, i):
            terms.append(text[start:i])
            start = i + len(operator)
    return [*terms, text[start:]]


def closing(text: str, at: int) -> int:
    """Behind the parenthesis that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += text[i] == "("
        depth -= text[i] == ")"
        if not depth:
            return i + 1
    raise ValueError("unbalanced")


class Instrument:
    """Puts numbers into one file's source."""

    def __init__(self, file: str, source: str, first: int) -> None:
        self.file = file
        self.source = source
        self.next = first
        self.rules: list[Rule] = []
        self.edits: list[tuple[int, int, str]] = []

    def rule(self, at: int, text: str) -> int:
        line = self.source.count("\n", 0, at) + 1
        self.rules.append(Rule(self.next, self.file, line, " ".join(text.split())))
        self.next += 1
        return self.next - 1

    def terms(self, at: int, condition: str, operator: str, message: str) -> str:
        """Each term on or off: an || off is false, an && off is true."""
        parts = []
        for term in split_top(condition, operator):
            n = self.rule(at, f"{message}: {' '.join(term.split())}")
            parts.append(f"(rule_on({n}) && ({term}))" if operator == "||" else f"(!rule_on({n}) || ({term}))")
        return f" {operator} ".join(parts)

    def run(self) -> str:
        source = self.source
        for match in re.finditer(r"\b(reject|fail)\((&?p|v),", source):
            if source[match.start() - 5 : match.start()] == " int " or "\nstatic int " in source[match.start() - 12 : match.start()]:
                continue
            end = closing(source, source.index("(", match.start()))
            call = source[match.start() : end]
            found = re.search(r'"([^"]*)"', call)
            if not found or "-ENOMEM" in call or found[1] in ("out of memory", "interrupted"):
                continue
            self.site(match.start(), end, call, found[1])
        for match in EFFECT.finditer(source):
            start = match.start() + len(match[0]) - len(match[0].lstrip("\t"))
            # Not a declaration's or an if's only statement with another after it: braces keep it one.
            n = self.rule(start, match[0].strip())
            self.edits.append((start, match.end(), f"{{ if (rule_on({n})) {{ {match[0].strip()} }} }}"))
        out = source
        for start, end, text in sorted(self.edits, reverse=True):
            out = out[:start] + text + out[end:]
        at = out.index("\n", out.index('#include "internal.h"')) + 1
        return out[:at] + PROLOGUE + out[at:]

    def site(self, start: int, end: int, call: str, message: str) -> None:
        """One rejection: by the condition that leads to it, or by itself."""
        source = self.source
        before = source[:start].rstrip()
        if before.endswith(":"):
            # return A && B ? 0 : reject(...)
            question = before.rindex("?")
            begin = before.rindex("return ") + len("return ")
            condition = source[begin:question]
            self.edits.append((begin, question, self.terms(begin, condition, "&&", message)))
            return
        statement = before
        for word in ("return", "err ="):
            statement = statement.removesuffix(word).rstrip()
        statement = statement.removesuffix("{").rstrip()
        if statement.endswith(")"):
            opened = self.opening(statement)
            head = statement[:opened].rstrip()
            if head.endswith(("if", "else if")):
                condition = statement[opened + 1 : -1]
                operator = "||" if len(split_top(condition, "||")) > 1 else ""
                if operator:
                    self.edits.append((opened + 1, len(statement) - 1, self.terms(opened, condition, "||", message)))
                else:
                    n = self.rule(opened, f"{message}: {condition}")
                    self.edits.append((opened + 1, len(statement) - 1, f"rule_on({n}) && ({condition})"))
                return
        # The last resort of a switch or function.
        n = self.rule(start, message)
        self.edits.append((start, end, f"(rule_on({n}) ? {call} : 0)"))

    @staticmethod
    def opening(text: str) -> int:
        depth = 0
        for i in reversed(range(len(text))):
            depth += text[i] == ")"
            depth -= text[i] == "("
            if not depth:
                return i
        raise ValueError("unbalanced")


def instrument() -> list[Rule]:
    """The copy of the core, and its rules."""
    shutil.rmtree(BUILD / "core", ignore_errors=True)
    shutil.copytree(CORE, BUILD / "core")
    rules: list[Rule] = []
    for file in FILES:
        work = Instrument(file, (CORE / file).read_text(), len(rules) + 1)
        (BUILD / "core" / file).write_text(work.run())
        rules += work.rules
    return rules


def environment(number: int) -> dict[str, str]:
    return {**os.environ, "WJ_CORE": str(BUILD / "core"), "WJ_BUILD": str(BUILD), "WJ_DISABLED": str(number)}


def raw(image: Image | bytes) -> bytes:
    return image.build() if isinstance(image, Image) else image


def cases() -> list[tuple[str, bytes, str]]:
    """The images of tests/verify: test, image, verdict."""
    found = [(f"test_rules.py::test_rule[{r.name}]", r.rejected.build(), r.message) for r in RULES]
    found += [(f"test_rules.py::test_rule[{r.name}]", r.accepted.build(), "") for r in RULES]
    for name, (message, rejected, accepted) in CASES.items():
        if name != "elements cut":
            found.append((f"test_image.py::test_rule[{name}]", raw(rejected), message))
        found.append((f"test_image.py::test_rule[{name}]", raw(accepted), ""))
    found += [(f"test_operands.py::test_accepts[{s.name}]", sample_image(s).build(), "") for s in SAMPLES]
    found += [
        (f"test_operands.py::test_rejects_register[{s.name} {what}]", sample_image(s).build(), message)
        for s, what, message in wrong_operands()
    ]
    return found


def by_verdict(number: int, images: list[tuple[str, bytes, str]]) -> str:
    """The first image whose verdict is another with the rule off, and what it is then; or "".

    One that is accepted then, or crashes the sanitized core, is said rather than one that
    another rule rejects.
    """
    program = libcore.build("sanitize")
    other = ""
    lines = [f"image 0 {len(image)}\n".encode() + image + b"drop_image 0\n" for _, image, _ in images]
    done = subprocess.run([program], input=b"".join(lines), env=environment(number), capture_output=True)
    answers = done.stdout.decode(errors="replace").splitlines()[::2]
    for (test, _, expected), answer in zip(images, answers, strict=False):
        verdict = "" if answer == "ok" else answer.split(" ", 5)[5]
        if verdict == expected:
            continue
        if not verdict:
            return f"{test} (accepted)"
        other = other or f"{test} ({verdict})"
    if done.returncode:
        # The sanitizer's own word for it, or the signal.
        why = re.search(r"AddressSanitizer: (\S+)|runtime error: (.*)", done.stderr.decode(errors="replace"))
        return f"{images[len(answers)][0]} ({why[0] if why else f'status {done.returncode}'})"
    return other


def by_pytest(number: int, tests: list[str]) -> str:
    """The first test that fails with the rule off, "" if none does."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=short", "-rfE", *tests]
    done = subprocess.run(command, cwd=ROOT, env=environment(number), capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (?:tests/verify/)?(\S.*?)(?: - .*)?$", done.stdout, re.M)
    if not found:
        raise RuntimeError(f"pytest with rule {number} off:\n{done.stdout}\n{done.stderr}")
    return found[1]


def first_failure(number: int, images: list[tuple[str, bytes, str]], tests: list[str]) -> str:
    return by_verdict(number, images) or by_pytest(number, tests)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", help="rules whose line contains this")
    parser.add_argument("--list", action="store_true", help="the rules, without testing them")
    parser.add_argument("tests", nargs="*", default=["tests/verify"])
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    rules = instrument()
    if options.only:
        rules = [rule for rule in rules if options.only in f"{rule.name} {rule.text}"]
    if options.list:
        for rule in rules:
            print(f"{rule.number:4} {rule.name}  {rule.text}")
        return 0
    # What the threads inherit: build() makes the driver of the copy.
    os.environ.update({"WJ_CORE": str(BUILD / "core"), "WJ_BUILD": str(BUILD)})
    images = cases()
    if failure := first_failure(0, images, options.tests):
        print(f"mutate-rules: {failure} fails with all rules on", file=sys.stderr)
        return 1
    survivors = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        failures = pool.map(lambda rule: first_failure(rule.number, images, options.tests), rules)
        for rule, failure in zip(rules, failures, strict=True):
            why = EQUIVALENT.get(f"{rule.file} {rule.text}")
            if not failure and not why:
                survivors += 1
            shown = failure or (f"equivalent: {why}" if why else "SURVIVES")
            print(f"{rule.name}  {rule.text}  ->  {shown}", flush=True)
    print(f"mutate-rules: {len(rules)} rules, {survivors} without a test")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
