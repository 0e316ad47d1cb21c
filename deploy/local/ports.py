"""Ports of 127.0.0.1 for the local stack and the tests."""

import random
import socket

from deploy.local.screen import SILENCE, Screen

HOST = "127.0.0.1"

_RANGE = range(20_000, 32_000)
"""Below the ports that Linux gives to clients: a client that dials a dead server there can connect to itself."""


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """So many ports that are free now, picked at random so that two test runs seldom want the same."""
    candidates = random.sample(_RANGE, len(_RANGE))
    ports = [port for port in candidates[: count * 20] if is_free(port)][:count]
    if len(ports) < count:
        raise OSError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")
    return ports


def choose_port(preferred: int, screen: Screen = SILENCE) -> int:
    """The preferred port, or another one, and then the screen says so."""
    if is_free(preferred):
        return preferred
    [port] = free_ports(1)
    screen.note(f"port {preferred} is taken, using {port}")
    return port
