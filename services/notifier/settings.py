"""The notifier's settings."""

import json
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from services.notifier.channels.email import Smtp
from services.notifier.channels.webhook import Target
from shared.settings import CallerSettings, Port, is_address


def _decoded(value: Any) -> Any:
    """The JSON of a setting; pydantic's own complaint would be no sentence for the operator."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("it is not JSON") from None


def _networks(value: Any) -> Any:
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


def _address(value: str | None) -> str | None:
    """An address of ours or of somebody's system."""
    if value is not None and not is_address(value):
        raise ValueError("must be an address like https://host/...")
    return value


Address = Annotated[str | None, AfterValidator(_address)]
Networks = Annotated[list[IPv4Network | IPv6Network], NoDecode, BeforeValidator(_networks)]


class NotifierSettings(CallerSettings):
    """As every service, and where notices go; see `shared.settings`."""

    port: Port = 8003
    alerts: Path = Path("alerts.yaml")
    roster: Path = Path("roster.yaml")
    """Who is on duty; it holds names and addresses of people."""
    public_url: Address = None
    """Where people reach this service: begins the links in notices. Without it notices hold no links."""
    smtp: Annotated[Smtp | None, NoDecode, BeforeValidator(_decoded)] = None
    """JSON: {"host": ..., "port": 587, "sender": ..., "user": ..., "password": ...}."""
    people_by_log: bool = False
    """People are told by lines in the log alone: for the local stack."""
    alertmanager: Address = None
    """Where an audience's `system: alertmanager` is."""
    own_networks: Networks = Field(default_factory=list)
    """Private networks (10.1.0.0/16, comma separated) in which recipients' systems may stand."""
    heartbeat_url: Address = None
    """An outside monitor that hears from us every so often, and says so when it does not."""
    heartbeat_every: Annotated[float, Field(gt=0)] = 60.0
    """Seconds."""
    webhooks: Annotated[dict[str, Target], NoDecode, BeforeValidator(_decoded)] = Field(default_factory=dict)
    """JSON: subscriber -> {"url": "https://...", "secret": "whsec_..."}."""
    webhooks_allow_http: bool = False
    """For the local stack only."""
