# SPDX-License-Identifier: GPL-2.0-only
"""What --dir, --tcplisten and --inherit-env become."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pywasmjit import grants
from pywasmjit.errors import InputError, SystemCallError, UsageError


def descriptor_of(setting: str) -> int:
    number = int(setting.split("=")[1].split(":")[0])
    assert os.get_inheritable(number)
    return number


@pytest.mark.parametrize(("text", "name"), [("{}", "{}"), ("{}::/guest", "/guest"), ("{}::a::b", "a::b")])
def test_directory(text: str, name: str, tmp_path: Path) -> None:
    setting = grants.directory(text.format(tmp_path))
    number = descriptor_of(setting)
    try:
        assert setting == f"dir={number}:{name.format(tmp_path)}"
        assert os.path.samestat(os.fstat(number), tmp_path.stat())
    finally:
        os.close(number)


@pytest.mark.parametrize("text", ["", "::", "::/x", "/tmp::"])
def test_not_a_directory_at_all(text: str) -> None:
    with pytest.raises(UsageError):
        grants.directory(text)


def test_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        grants.directory(f"{tmp_path}/absent")


@pytest.mark.parametrize(
    ("text", "family"), [("127.0.0.1:0", socket.AF_INET), ("[::1]:0", socket.AF_INET6), (":0", None),
     ("127.0.0.1:0,nonblock", socket.AF_INET)]
)
def test_listener(text: str, family: socket.AddressFamily | None) -> None:
    setting = grants.listener(text)
    with socket.socket(fileno=descriptor_of(setting)) as made:
        assert setting == f"listen={made.fileno()}"
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert family is None or made.family == family
        assert os.get_blocking(made.fileno()) == (",nonblock" not in text)


@pytest.mark.parametrize("text", ["", "80", "127.0.0.1", "127.0.0.1:", "h:-1", "h:1x", "127.0.0.1:0,other", "h:65536", "name.invalid:80"])
def test_not_an_address(text: str) -> None:
    with pytest.raises(UsageError):
        grants.listener(text)


def test_address_of_another_machine() -> None:
    with pytest.raises(SystemCallError, match="assign"):
        grants.listener("203.0.113.1:80")


def test_inherited_listeners() -> None:
    pid = str(os.getpid())
    assert grants.inherited_listeners({}) == []
    assert grants.inherited_listeners({"LISTEN_FDS": "2"}) == []
    assert grants.inherited_listeners({"LISTEN_FDS": "2", "LISTEN_PID": "1"}) == []
    assert grants.inherited_listeners({"LISTEN_FDS": "x", "LISTEN_PID": pid}) == []
    assert grants.inherited_listeners({"LISTEN_FDS": "2", "LISTEN_PID": pid}) == ["listen=3", "listen=4"]


def test_order_and_variables(tmp_path: Path) -> None:
    given = grants.settings([str(tmp_path)], ["127.0.0.1:0"], ["A=1", "B=x=y"], False, {})
    try:
        assert [setting.split("=")[0] for setting in given] == ["dir", "listen", "env", "env"]
        assert given[2:] == ["env=A=1", "env=B=x=y"]
    finally:
        for setting in given[:2]:
            os.close(descriptor_of(setting))
    assert grants.settings([], [], ["A=1"], True, {}) == ["inherit-env"]
