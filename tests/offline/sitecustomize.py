"""Keep the processes that tests start (kernels, servers) on this machine.

`conftest.py` puts this folder on PYTHONPATH, and Python imports a module of this name at start.
"""

import ipaddress
import socket


def refuse_other_machines(host):
    """Raise OSError, as a machine without a network would, unless `host` is this machine."""
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost", "0.0.0.0", "::", socket.gethostname()):
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise socket.gaierror(socket.EAI_AGAIN, f"tests run without a network: {host!r}")


class LocalSocket(socket.socket):
    """A socket that reaches this machine only."""

    def connect(self, address):
        """Connect, unless the address is elsewhere."""
        if isinstance(address, tuple):
            refuse_other_machines(address[0])
        return super().connect(address)

    def connect_ex(self, address):
        """Connect, unless the address is elsewhere."""
        if isinstance(address, tuple):
            refuse_other_machines(address[0])
        return super().connect_ex(address)


def local_getaddrinfo(host, *arguments, _original=socket.getaddrinfo, **options):
    """Look up a name, unless it is another machine's."""
    refuse_other_machines(host)
    return _original(host, *arguments, **options)


socket.socket = LocalSocket
socket.getaddrinfo = local_getaddrinfo
