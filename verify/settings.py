"""What a verification is told: the same variables as the services, of which it needs few."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import Brokers, Database, Key, Paths


class VerifySettings(BaseSettings):
    """`ROGATORY_...`; without the sealing key what is sealed is not opened, and the rest is verified all the same."""

    model_config = SettingsConfigDict(env_prefix="ROGATORY_", frozen=True, extra="ignore")

    kafka: Brokers
    mongo: SecretStr
    database: Database = "rogatory"
    id_key: Key
    sealing_key: Key | None = None
    partners: Path = Path("partners.yaml")
    law: Path | None = None
    law_assumptions: Paths = []
    life_cycle: Path = Path("life-cycle.yaml")
    log: Literal["json", "terminal"] = "json"
