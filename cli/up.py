"""`rogatory up`: the whole system on this machine, until Ctrl-C."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.failures import BadStart

if TYPE_CHECKING:
    from deploy.local.stack import Stack


def up(
    keep: Annotated[bool, typer.Option("--keep", help="Go on with the data of the last run.")] = False,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="A Kafka of your own.")] = None,
    mongo: Annotated[str | None, typer.Option(metavar="URI", help="A MongoDB of your own, a replica set.")] = None,
    services: Annotated[
        str | None, typer.Option(help="Only these; start others by hand with the settings in environment/.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The folder for data, logs and tokens; .rogatory/data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the addresses as one line of JSON.")] = False,
) -> None:
    """Start Kafka, MongoDB and the services on this machine, and stay until Ctrl-C."""
    # Imported here, for the other commands do without the half second that it takes.
    from cli.screen import terminal
    from deploy.local.processes import signals_interrupt
    from deploy.local.services import PORTS
    from deploy.local.stack import Stack

    names = list(PORTS) if services is None else [name for name in services.split(",") if name]
    if unknown := sorted(set(names) - PORTS.keys()):
        raise BadStart(f"there is no service {', '.join(unknown)}: choose from {', '.join(PORTS)}")
    screen = terminal()
    stack = Stack(data, services=names, keep=keep, kafka=kafka, mongo=mongo, screen=screen)
    try:
        with signals_interrupt(), screen.shown(), stack:
            print_addresses(stack, as_json)
            screen.wait("your letters; Ctrl-C stops everything")
            stack.watch()
    except KeyboardInterrupt:
        screen.note("stopped, nothing is left running")


def print_addresses(stack: "Stack", as_json: bool) -> None:
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
