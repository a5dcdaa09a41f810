# SPDX-License-Identifier: GPL-2.0-only
"""What the module needs of a kernel's configuration: kmod/Kconfig, evaluated by kconfiglib."""

from __future__ import annotations

import gzip
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pywasmjit.errors import HostUnavailableError

KCONFIG = Path("kmod/Kconfig")  # below the module's sources
MODULE_SYMBOL = "WASM"


@dataclass(frozen=True)
class Requirement:
    """One configuration symbol that the module depends on, or is better with."""

    symbol: str
    """As in .config: CONFIG_KPROBES."""
    wanted: bool
    """False where the symbol must not be set."""
    required: bool
    met: bool
    title: str
    reason: str
    remedy: str


def requirements(kconfig: Path, configuration: Path) -> list[Requirement]:
    """Every requirement of a Kconfig file with what a configuration (.config, perhaps .gz) says.

    HostUnavailableError if one of the files cannot be read.
    """
    # Not at the top: `pywasmjit exec` and the VM harness do without.
    import kconfiglib

    try:
        kconf = kconfiglib.Kconfig(str(kconfig), warn_to_stderr=False)
        # A kernel's configuration has thousands of symbols that this file does not know.
        kconf.warn = False
        with tempfile.NamedTemporaryFile(prefix="pywasmjit-config-") as plain:
            if configuration.suffix == ".gz":
                plain.write(gzip.decompress(configuration.read_bytes()))
                plain.flush()
                configuration = Path(plain.name)
            kconf.load_config(str(configuration))
    except (OSError, kconfiglib.KconfigError) as error:
        raise HostUnavailableError(f"{configuration}: {error}") from None
    module = kconf.syms[MODULE_SYMBOL]
    found = []
    for term in kconfiglib.split_expr(module.direct_dep, kconfiglib.AND):
        wanted = not isinstance(term, tuple)
        symbol = term if wanted else term[1]
        found.append(_requirement(symbol, wanted, True, kconfiglib.expr_value(term) > 0))
    for symbol, _condition in module.implies:
        found.append(_requirement(symbol, True, False, symbol.tri_value > 0))
    return found


def _requirement(symbol: Any, wanted: bool, required: bool, met: bool) -> Requirement:
    node = symbol.nodes[0]
    reason, _, remedy = node.help.partition("\n\n")
    return Requirement(
        symbol=f"CONFIG_{symbol.name}",
        wanted=wanted,
        required=required,
        met=met,
        title=node.prompt[0],
        reason=" ".join(reason.split()),
        remedy=" ".join(remedy.split()),
    )
