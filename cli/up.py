"""`rogatory up`: the whole system on this machine, until Ctrl-C."""

import json
from typing import Annotated

import typer

from cli.screen import terminal
from deploy.local.processes import signals_interrupt
from deploy.local.services import PORTS
from deploy.local.stack import Stack
from shared.failures import BadStart


def up(
    keep: Annotated[bool, typer.Option("--keep", help="Go on with the data of the last run.")] = False,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="A Kafka of your own.")] = None,
    mongo: Annotated[str | None, typer.Option(metavar="URI", help="A MongoDB of your own, a replica set.")] = None,
    services: Annotated[
        str, typer.Option(help="Only these; start others yourself, their settings lie in environment/.")
    ] = ",".join(PORTS),
    as_json: Annotated[bool, typer.Option("--json", help="Print the addresses as one line of JSON.")] = False,
) -> None:
    """Start Kafka, MongoDB and the services on this machine, and stay until Ctrl-C."""
    names = [name for name in services.split(",") if name]
    if unknown := sorted(set(names) - PORTS.keys()):
        raise BadStart(f"there is no service {', '.join(unknown)}: choose from {', '.join(PORTS)}")
    screen = terminal()
    stack = Stack(services=names, keep=keep, kafka=kafka, mongo=mongo, screen=screen)
    try:
        with signals_interrupt(), screen.shown(), stack:
            print_addresses(stack, as_json)
            screen.wait("your letters; Ctrl-C stops everything")
            stack.watch()
    except KeyboardInterrupt:
        screen.note("stopped, nothing is left running")


def print_addresses(stack: Stack, as_json: bool) -> None:
    """Say where everything is."""
    addresses = {name: service.url for name, service in stack.services.items()}
    addresses |= {"kafka": stack.kafka_address, "mongo": stack.mongo_uri, "webhook": stack.webhook_url}
    addresses |= {"tokens": str(stack.tokens), "logs": str(stack.logs)}
    if as_json:
        print(json.dumps(addresses), flush=True)
        return
    width = max(map(len, addresses))
    for name, address in addresses.items():
        print(f"{name:<{width}}  {address}", flush=True)
