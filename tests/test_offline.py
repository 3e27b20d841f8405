"""Kernels and servers that tests start do not reach the network."""

import subprocess
import sys

import pytest

CONNECT = "import socket; socket.create_connection(({host!r}, {port}), timeout=5)"


@pytest.mark.parametrize("host", ["example.org", "203.0.113.7"])
def test_a_child_process_cannot_leave_this_machine(host):
    code = CONNECT.format(host=host, port=80)
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 1
    assert f"tests run without a network: '{host}'" in finished.stderr


def test_a_child_process_reaches_this_machine():
    code = (
        "import socket; server = socket.create_server(('127.0.0.1', 0));"
        "socket.create_connection(server.getsockname(), timeout=5)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
