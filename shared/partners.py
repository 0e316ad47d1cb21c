"""Who files letters and who gets notices, from one checked file: agencies, gateways, subscribers, the default law."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from shared.vocabulary import Channel
from shared.yaml_file import Id, Strict, Words, YamlFile, quoted, read_yaml


class NoticeChannel(StrEnum):
    """The ways in which a notice reaches a subscriber."""

    KAFKA = "kafka"
    WEBHOOK = "webhook"
    EMAIL = "email"
    APPRISE = "apprise"
    ALERTMANAGER = "alertmanager"
    LOG = "log"


class SubscriberChannel(StrEnum):
    """The ways in which a whole subscriber, which is a system, is told."""

    KAFKA = "kafka"
    WEBHOOK = "webhook"


class Agency(Strict):
    """A system that files letters; a gateway also carries letters and answers abroad on its channel."""

    title: Words
    gateway: Channel | None = None


class Subscriber(Strict):
    """Somebody who gets notices."""

    title: Words
    channels: Annotated[tuple[SubscriberChannel, ...], Field(min_length=1)]


class PartnersText(Strict):
    """A whole partners file."""

    law: Words
    agencies: Annotated[Mapping[Id, Agency], Field(min_length=1)]
    subscribers: Mapping[Id, Subscriber]


@dataclass(frozen=True)
class Partners:
    """The partners of this deployment, and its default law file."""

    law_file: Path
    agencies: Mapping[str, Agency]
    subscribers: Mapping[str, Subscriber]


def load_partners(path: Path) -> Partners:
    """The partners in this file, checked; the law's path starts at the file's own folder."""
    file = read_yaml(path)
    text = file.typed(PartnersText)
    _one_gateway_per_channel(file, text)
    for name, subscriber in text.subscribers.items():
        if len(set(subscriber.channels)) < len(subscriber.channels):
            raise file.bad(("subscribers", name, "channels"), f"{quoted(name)} names a channel twice")
    law_file = path.parent / text.law
    if not law_file.is_file():
        raise file.bad(("law",), f"there is no law file {quoted(text.law)}")
    return Partners(law_file, MappingProxyType(dict(text.agencies)), MappingProxyType(dict(text.subscribers)))


def _one_gateway_per_channel(file: YamlFile, text: PartnersText) -> None:
    """Two gateways on one channel would both carry the same answer abroad."""
    taken: dict[Channel, str] = {}
    for name, agency in text.agencies.items():
        if agency.gateway in taken:
            both = f"'{taken[agency.gateway]}' and {quoted(name)}"
            raise file.bad(("agencies", name, "gateway"), f"{both} are both the gateway for {agency.gateway}")
        if agency.gateway:
            taken[agency.gateway] = name
