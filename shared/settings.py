"""Settings: environment variables that begin with `ROGATORY_`; a wrong one stops the start with one plain sentence."""

import re
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, SecretBytes, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.failures import BadStart
from shared.limits import CONTRACT


def _key(value: Any) -> Any:
    """A key is written as 64 hexadecimal digits."""
    if isinstance(value, str):
        try:
            key = bytes.fromhex(value)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise ValueError("must be 64 hexadecimal digits (32 random bytes: openssl rand -hex 32)")
        return key
    return value


def _paths(value: Any) -> Any:
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


def is_address(text: str, schemes: Collection[str] = ("https", "http")) -> bool:
    """Whether a setting can be the address of something on the web."""
    try:
        url = httpx.URL(text)
        # What no host's name may hold, such as a lone bracket, comes out escaped.
        return url.scheme in schemes and bool(url.host) and "%" not in url.host
    except (httpx.InvalidURL, UnicodeError):  # a host's name that IDNA does not know is a UnicodeError
        return False


def _brokers(value: str) -> str:
    if not all(_is_broker(one) for one in value.split(",")):
        raise ValueError("must be host:port, or several of these with commas between")
    return value


def _is_broker(text: str) -> bool:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", text, re.ASCII)
    return found is not None and 1 <= int(found[2]) <= 65535


def _database(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,38}", value):
        raise ValueError("must be 1 to 38 letters, digits, hyphens and underscores")
    return value


Brokers = Annotated[str, AfterValidator(_brokers)]
Database = Annotated[str, AfterValidator(_database)]
Key = Annotated[SecretBytes, BeforeValidator(_key)]
Paths = Annotated[list[Path], NoDecode, BeforeValidator(_paths)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """What every service is told at its start. Secrets have no default, so that a forgotten one stops the start."""

    model_config = SettingsConfigDict(env_prefix="ROGATORY_", frozen=True, extra="ignore")

    kafka: Brokers
    """`host:port` of Kafka's brokers, comma separated."""
    mongo: SecretStr
    """`mongodb://...` of the replica set."""
    database: Database = "rogatory"
    mongo_driver: Literal["motor", "pymongo"] = "motor"
    host: str = "127.0.0.1"
    port: Port = 8000
    max_connections: Annotated[int, Field(ge=10, le=1_000_000)] = 4_000
    """Over HTTP at once; beyond them the one that has been idle longest is closed."""
    head_within: Annotated[float, Field(ge=1, le=3600)] = 10.0
    """Seconds for a connection's next request line and headers; who is slower is a hindrance or broken."""
    body_within: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Seconds for the body that follows."""
    max_bodies_bytes: Annotated[int, Field(ge=2 * CONTRACT.batch_bytes, le=2**40)] = 4 * CONTRACT.batch_bytes
    """Of requests that are not answered yet, together; one caller may have half of it under way."""
    instance: str = Field(default_factory=socket.gethostname)
    """The name of this process; fixed over restarts, so that a restart is no rebalance (`group_instance_id`)."""
    id_key: Key
    sealing_key: Key
    checkpoint_key: Key | None = None
    """Signs checkpoints for auditors (Ed25519, the private key's 32 bytes); without it there are none."""
    checkpoint_every: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Seconds."""
    partners: Path = Path("partners.yaml")
    law: Path | None = None
    """The law file; without it, the one that the partners file names."""
    law_assumptions: Paths = []
    life_cycle: Path = Path("life-cycle.yaml")
    """The table of what can happen to a case."""
    simulation: bool = False
    """Letters and cases live in a simulated time (`shared.time_source`): for demonstrations only."""
    log: Literal["json", "terminal"] = "json"


def _file_or_address(value: str) -> str:
    """An address must be one at the start: later, the keys would only seem to be away."""
    if value.startswith(("http://", "https://")) and not is_address(value):
        raise ValueError("must be a file, or an address like https://host/...")
    return value


class CallerSettings(Settings):
    """For a service that is called over HTTP: whose tokens it takes."""

    jwks: Annotated[str, AfterValidator(_file_or_address)]
    """The issuer's public keys: a file or an http(s) address of a JWKS (RFC 7517)."""
    token_issuer: str
    token_audience: str


S = TypeVar("S", bound=Settings)


def read_settings(kind: type[S]) -> S:
    """The settings from the environment; raises `BadStart` with every wrong variable by name, never its value."""
    try:
        return kind()
    except ValidationError as error:
        raise BadStart(faults_of(error)) from None


def faults_of(error: ValidationError) -> str:
    """What is wrong with settings, every variable by its name."""
    return "; ".join(f"{_variable(*e['loc'])} {_fault(e)}" for e in error.errors())


def _variable(name: int | str, *place: int | str) -> str:
    """The environment's name of a setting, and the place within one that is written as JSON."""
    return f"ROGATORY_{name}".upper() + (f" ({', '.join(map(str, place))})" if place else "")


def _fault(error: Any) -> str:
    if error["type"] == "missing":
        return "is not set"
    return f"is wrong: {error['msg'].removeprefix('Value error, ')}"
