"""Addresses of this machine."""

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine and is reached from no other."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str, port: int) -> None:
    """Make sure that a server can listen there.

    Raises:
        ValueError: another one does, or the address is none of this machine or not ours to take.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ValueError(
            f"a server cannot listen on {host}, port {port} ({error.strerror}); "
            "choose another --port or --host"
        ) from error
