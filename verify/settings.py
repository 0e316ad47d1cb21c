"""What a verification is told: the same variables as the services, of which it needs few."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.settings import Brokers, Database, Key, Paths


def _parts(value: Any) -> Any:
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


def servers_in(address: str) -> str:
    """The servers that an address names, without whoever logs in there and how."""
    return re.split("[/?]", address.rpartition("://")[2].rpartition("@")[2])[0]


class VerifySettings(BaseSettings):
    """`ROGATORY_...`; without the sealing key what is sealed is not opened, and the rest is verified all the same."""

    model_config = SettingsConfigDict(env_prefix="ROGATORY_", frozen=True, extra="ignore")

    kafka: Brokers
    mongo: SecretStr
    database: Database = "rogatory"
    id_key: Key
    sealing_key: Key | None = None
    checkpoint_public_keys: Annotated[list[Key], NoDecode, BeforeValidator(_parts)] = []
    """By which checkpoints are checked: 64 hexadecimal digits each, with commas between, those of before too."""
    checkpoint_key: Key | None = None
    """The signing key, where it is at hand: its public key counts too."""
    partners: Path = Path("partners.yaml")
    law: Path | None = None
    law_assumptions: Paths = []
    life_cycle: Path = Path("life-cycle.yaml")
    log: Literal["json", "terminal"] = "json"
