"""Ports of the local stack: free, reserved, answering."""

import socket

from deploy.local.ports import HOST, free_ports, is_free, takes_connections


def test_a_port_takes_connections_only_while_a_server_listens_on_it() -> None:
    [port] = free_ports(1)
    assert (is_free(port), takes_connections(port)) == (True, False)

    with socket.create_server((HOST, port)):
        assert (is_free(port), takes_connections(port)) == (False, True)


def test_ports_that_were_chosen_are_not_chosen_again() -> None:
    chosen = free_ports(50)

    assert len({*chosen, *free_ports(50)}) == 100
