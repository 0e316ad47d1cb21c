"""Ports of 127.0.0.1 for the local stack and the tests."""

import random
import socket
from itertools import islice

from deploy.local.screen import SILENCE, Screen

HOST = "127.0.0.1"

_RANGE = range(20_000, 32_000)
"""Below the ports that Linux gives to clients: a client that dials a dead server there can connect to itself."""


_RESERVED: dict[int, socket.socket] = {}


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def takes_connections(port: int) -> bool:
    """Whether a server listens on the port now."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def reserve(port: int) -> bool:
    """Reserve the port among all local stacks and test runs, until we end; False where another has it.

    A server binds its port seconds after it was chosen, and two that choose at the same time chose the same. A name in
    Linux's abstract socket space is such a reservation: it belongs to one process and goes away with it.
    """
    if port in _RESERVED:
        return True
    reservation = socket.socket(socket.AF_UNIX)
    try:
        reservation.bind(f"\0rogatory-port-{port}")
    except OSError:
        reservation.close()
        return False
    _RESERVED[port] = reservation
    return True


def free_ports(count: int) -> list[int]:
    """So many ports that are free now, picked at random so that two test runs seldom want the same."""
    candidates = random.sample(_RANGE, len(_RANGE))
    usable = (port for port in candidates if port not in _RESERVED and is_free(port) and reserve(port))
    return list(islice(usable, count))


def choose_port(preferred: int, screen: Screen = SILENCE) -> int:
    """The preferred port, or another one, and then the screen says so."""
    if reserve(preferred) and is_free(preferred):
        return preferred
    [port] = free_ports(1)
    screen.note(f"port {preferred} is taken, using {port}")
    return port
