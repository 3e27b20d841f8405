"""What holds for every test: no test reaches the network."""

import ipaddress
import socket

import pytest


class NetworkBlockedError(AssertionError):
    """A test tried to reach something that is not on this machine."""


def is_loopback(host):
    """Whether a host, as sockets take it (None, "", name or address), is this machine."""
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost", "0.0.0.0", "::", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """Let sockets reach this machine only; looking up another name counts as reaching out."""

    def guard(original, host_of):
        def guarded(*args, **kwargs):
            host = host_of(*args)
            if not is_loopback(host):
                raise NetworkBlockedError(
                    f"tests must not use the network; tried to reach {host!r}"
                )
            return original(*args, **kwargs)

        return guarded

    def target(sock, address, *_):
        # addresses of sockets between processes (AF_UNIX) are strings
        return address[0] if isinstance(address, tuple) else None

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guard(getattr(socket.socket, name), target))
        patch.setattr(socket, "getaddrinfo", guard(socket.getaddrinfo, lambda host, *_: host))
        yield
