"""The keys of the local stack and the tokens made with them: for this machine only, made anew unless data are kept."""

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from deploy.local.secret_files import write_secret
from shared.checkpoints.checkpoint import SigningKey
from shared.tokens import make_key, make_token
from shared.vocabulary import DESK

ISSUER = "https://issuer.rogatory.local"
AUDIENCE = "rogatory"
LIFETIME = timedelta(days=7)

_AGENCY_MAY = ("letters:write", "letters:read")
_AUTHORITY_MAY = ("cases:read", "cases:write")
_OF_QUARANTINE = ("quarantine:read", "quarantine:write", "quarantine:look")
_DESK_MAY = (*_AUTHORITY_MAY, *_OF_QUARANTINE, "notifier:admin", "notices:read", "notices:write", "alerts:write")


@dataclass(frozen=True)
class Keys:
    """Everything secret in one local deployment."""

    id_key: str
    sealing_key: str
    webhook_secret: str
    token_key: dict[str, Any]
    jwks: dict[str, Any]
    checkpoint_key: str

    @classmethod
    def make(cls) -> Self:
        """New keys."""
        token_key, jwks = make_key()
        webhook = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        return cls(secrets.token_hex(32), secrets.token_hex(32), webhook, token_key, jwks, secrets.token_hex(32))

    @classmethod
    def load_or_make(cls, path: Path) -> Self:
        """The keys that the kept data were written with, or new ones."""
        kept = json.loads(path.read_text()) if path.exists() else {}
        keys = cls(**(asdict(cls.make()) | kept))  # those of an older build have fewer
        write_secret(path, json.dumps(asdict(keys)))
        return keys

    @property
    def checkpoint_public_key(self) -> str:
        """By what anybody can check a checkpoint; in hexadecimal."""
        return SigningKey(bytes.fromhex(self.checkpoint_key)).public.hex()

    def token(self, *, agency: str | None = None, authority: str | None = None) -> str:
        """A token for one agency or one authority."""
        scopes = _AGENCY_MAY if agency else _DESK_MAY if authority == DESK else _AUTHORITY_MAY
        return make_token(
            self.token_key,
            issuer=ISSUER,
            audience=AUDIENCE,
            agency=agency,
            authority=authority,
            scopes=scopes,
            lifetime=LIFETIME,
        )


def write_tokens(folder: Path, keys: Keys, agencies: Iterable[str], authorities: Iterable[str]) -> None:
    """One file per agency, and in a folder of its own one per authority and for the desk."""
    for agency in agencies:
        write_secret(folder / f"{agency}.jwt", keys.token(agency=agency))
    for authority in (*authorities, DESK):
        write_secret(folder / "authorities" / f"{authority}.jwt", keys.token(authority=authority))
