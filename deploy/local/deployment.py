"""What one deployment is made of besides servers: its partners, its law, its keys and its topics."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.local.jars import ROOT
from deploy.local.keys import AUDIENCE, ISSUER, Keys, write_tokens
from shared.law import load_law
from shared.partners import SubscriberChannel, load_partners
from shared.topics import all_topics


@dataclass(frozen=True)
class Deployment:
    """The repository's own data files, or those that ROGATORY_... names, and the keys of one folder."""

    partners: Path
    law: Path
    assumptions: tuple[Path, ...]
    keys: Keys
    jwks: Path
    topics: Mapping[str, int]
    by_webhook: tuple[str, ...]
    """The subscribers who hear by webhook; all have the same address here."""

    @classmethod
    def prepare(cls, folder: Path) -> Self:
        """Read and check the data files, make what keys are missing, write the tokens."""
        partners_file = Path(os.environ.get("ROGATORY_PARTNERS", ROOT / "partners.yaml"))
        partners = load_partners(partners_file)
        law_file = Path(os.environ.get("ROGATORY_LAW", partners.law_file))
        named = os.environ.get("ROGATORY_LAW_ASSUMPTIONS", "").split(",")
        assumptions = tuple(Path(name) for name in named if name)
        law = load_law(law_file, assumptions)
        keys = Keys.load_or_make(folder / "keys.json")
        write_tokens(folder / "tokens", keys, partners.agencies, law.authorities)
        jwks = folder / "jwks.json"
        jwks.write_text(json.dumps(keys.jwks))
        (folder / "checkpoint.pub").write_text(f"{keys.checkpoint_public_key}\n")
        topics = all_topics(law.authorities, partners.agencies, partners.subscribers)
        hear = [name for name, one in partners.subscribers.items() if SubscriberChannel.WEBHOOK in one.channels]
        return cls(partners_file, law_file, assumptions, keys, jwks, topics, tuple(hear))

    def settings(self, kafka: str, mongo: str, webhook_url: str) -> dict[str, str]:
        """What every service is told; each takes what it knows."""
        target = {"url": webhook_url, "secret": self.keys.webhook_secret}
        return {
            "ROGATORY_KAFKA": kafka,
            "ROGATORY_MONGO": mongo,
            "ROGATORY_DATABASE": "rogatory",
            "ROGATORY_ID_KEY": self.keys.id_key,
            "ROGATORY_SEALING_KEY": self.keys.sealing_key,
            "ROGATORY_CHECKPOINT_KEY": self.keys.checkpoint_key,
            "ROGATORY_CHECKPOINT_EVERY": "5",
            "ROGATORY_PARTNERS": str(self.partners),
            "ROGATORY_LAW": str(self.law),
            "ROGATORY_LAW_ASSUMPTIONS": ",".join(map(str, self.assumptions)),
            "ROGATORY_LIFE_CYCLE": os.environ.get("ROGATORY_LIFE_CYCLE", str(ROOT / "life-cycle.yaml")),
            "ROGATORY_ALERTS": os.environ.get("ROGATORY_ALERTS", str(ROOT / "alerts.yaml")),
            "ROGATORY_ROSTER": os.environ.get("ROGATORY_ROSTER", str(ROOT / "roster.yaml")),
            "ROGATORY_PEOPLE_BY_LOG": os.environ.get("ROGATORY_PEOPLE_BY_LOG", "true"),
            "ROGATORY_JWKS": str(self.jwks),
            "ROGATORY_TOKEN_ISSUER": ISSUER,
            "ROGATORY_TOKEN_AUDIENCE": AUDIENCE,
            "ROGATORY_WEBHOOKS": json.dumps(dict.fromkeys(self.by_webhook, target)),
            "ROGATORY_WEBHOOKS_ALLOW_HTTP": "true",
        }
