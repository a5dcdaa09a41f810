# SPDX-License-Identifier: GPL-2.0-only
"""The sqlite3 shell: a database, its log in shared memory, sudden death, two processes."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import Host, wait_until

FILL = """
PRAGMA journal_mode=WAL;
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO t SELECT i, 'row' || (i * 7919 % 10007), i * 0.5 FROM n;
CREATE INDEX b ON t(b);
"""
QUERY = "SELECT count(*), sum(c), max(b), min(length(b)), total(a % 7) FROM t WHERE b LIKE '%9%';"


def test_same_as_native(host: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    done = host.run(guest("sqlite3"), str(database), stdin=(FILL + QUERY).encode())
    assert done.stderr.decode() == ""
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "wal"
    with sqlite3.connect(database) as connection:  # the same file, read natively
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        row = connection.execute(QUERY).fetchone()
    assert lines[1].split("|")[0] == str(row[0]) and float(lines[1].split("|")[1]) == row[1]
    host.assert_engine()


def test_killed_midway_recovers(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    jit.run(guest("sqlite3"), str(database), stdin=FILL.encode())
    process = jit.start(guest("sqlite3"), str(database))
    assert process.stdin
    process.stdin.write(b"BEGIN; UPDATE t SET c = -1; INSERT INTO t SELECT a + 100000, b, -2 FROM t;\n"
                        b"SELECT 'changed';\n")
    process.stdin.flush()
    assert process.stdout
    wait_until(lambda: b"changed" in process.stdout.readline(), "the transaction is under way", 60)
    process.send_signal(signal.SIGKILL)
    process.wait(5)
    done = jit.run(guest("sqlite3"), str(database),
                   stdin=b"PRAGMA integrity_check; SELECT count(*), min(c) > 0 FROM t;")
    assert done.stdout.decode().split() == ["ok", "20000|1"]


def test_wal_shared_by_two_processes(jit: Host, guest: Callable[[str], Path], tmp_path: Path) -> None:
    """Locks and the shared-memory index of the log work between guests."""
    database = tmp_path / "a.db"
    jit.run(guest("sqlite3"), str(database), stdin=b"PRAGMA journal_mode=WAL; CREATE TABLE n(who, i);")
    results: list[subprocess.CompletedProcess[bytes]] = []

    def write(who: str) -> None:
        lines = ".timeout 60000\n" + "".join(f"INSERT INTO n VALUES('{who}', {i});\n" for i in range(200))
        results.append(jit.run(guest("sqlite3"), str(database), stdin=lines.encode(), timeout=120))

    guest("sqlite3")
    writers = [threading.Thread(target=write, args=(who,)) for who in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [(done.returncode, done.stderr) for done in results] == [(0, b""), (0, b"")]
    done = jit.run(guest("sqlite3"), str(database),
                   stdin=b"PRAGMA integrity_check; SELECT who, count(*), sum(i) FROM n GROUP BY who;")
    assert done.stdout.decode().split() == ["ok", "one|200|19900", "two|200|19900"]
