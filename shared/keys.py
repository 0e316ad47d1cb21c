"""The public keys that tokens are signed with: from a JWKS file or address, kept fresh (RFC 7517)."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from shared.failures import BadStart

Key = ECKey | OKPKey | RSAKey

FRESH = 30.0
"""Seconds for which a set of keys is good unseen; also the shortest time between two looks."""

PATIENCE = 2.0
"""Seconds that one look may take."""

STALE = 3600.0
"""Seconds for which the last known keys serve while their source is away."""

_TYPES: Mapping[str, type[Key]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
"""Public-key types alone: a secret in a JWKS (`oct`) is no key of ours, so no HMAC token can ever be good."""

_AWAY = (httpx.HTTPError, httpx.InvalidURL, TimeoutError)
"""What asking an address can raise beside what a file can; a redirection may name one that is none."""

_log = structlog.get_logger()


class KeysAway(Exception):
    """The source of the keys cannot be read and no key that we knew is recent enough."""


class KeySource:
    """Finds a public key by its id; looks again when they grow old or an id is unknown, once in `FRESH` seconds."""

    def __init__(self, where: str | Path, *, client: httpx.AsyncClient | None = None) -> None:
        """`where`: the path of a JWKS file, or its http(s) address; `client` is for tests and proxies."""
        self._where = str(where)
        self._is_address = self._where.startswith(("http://", "https://"))
        self._client = client
        self._keys: dict[str, Key] = {}
        self._seen = self._looked = -float("inf")
        self._looking: asyncio.Task[None] | None = None
        self._is_failing = False

    def check(self) -> None:
        """Refuse a file that is wrong at the start; raises `BadStart`. An address may still come up."""
        if self._is_address:
            return
        try:
            usable = _keys_in(json.loads(Path(self._where).read_bytes()))
        except OSError as error:
            raise BadStart(f"ROGATORY_JWKS: {self._where}: {error.strerror}") from None
        except (ValueError, RecursionError):
            usable = {}
        if not usable:
            raise BadStart(f"ROGATORY_JWKS: {self._where}: holds no public key that can be used (a JWKS, RFC 7517)")

    async def find(self, kid: str, now: datetime) -> Key | None:
        """The key with this id as of at most `FRESH` seconds ago; None where there is none. Raises `KeysAway`."""
        at = now.timestamp()
        unknown_or_old = kid not in self._keys or not 0 <= at - self._seen <= FRESH
        pause = FRESH if self._keys else 1.0
        if unknown_or_old and (self._looking is not None or not 0 <= at - self._looked <= pause):
            await self._look(at)
        if at - self._seen > STALE:
            raise KeysAway
        return self._keys.get(kid)

    async def aclose(self) -> None:
        """Close the connection to the source; a file has none."""
        if self._client is not None:
            await self._client.aclose()

    async def _look(self, at: float) -> None:
        """Read the source once, however many are waiting for it; one that is cancelled does not stop the others."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._read(at))
        await asyncio.shield(self._looking)

    async def _read(self, at: float) -> None:
        self._looked = at
        try:
            self._keys = _keys_in(json.loads(await self._fetch()))
        except (OSError, ValueError, TypeError, RecursionError, *_AWAY) as error:
            if not self._is_failing:
                _log.warning("keys cannot be read", error=type(error).__name__)
            self._is_failing = True
        else:
            self._seen, self._is_failing = at, False
        finally:
            self._looking = None

    async def _fetch(self) -> bytes:
        if not self._is_address:
            return await asyncio.to_thread(Path(self._where).read_bytes)
        if self._client is None:
            # Kept, for making one reads all root certificates: 30 ms in which nothing else runs.
            self._client = httpx.AsyncClient(timeout=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            return (await self._client.get(self._where)).raise_for_status().content


def make_key() -> tuple[dict[str, Any], dict[str, Any]]:
    """A new private signing key as a JWK, and the JWKS that holds its public half; for the local stack and tests."""
    key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519"}, private=True, auto_kid=True)
    return dict(key.as_dict(private=True)), {"keys": [dict(key.as_dict(private=False))]}


def _keys_in(jwks: Any) -> dict[str, Key]:
    """The usable keys by id; one that cannot be used is left out, so that it does not lock out the others."""
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list):
        raise ValueError("A JWKS is an object with a list of keys.")
    found = {}
    for jwk in jwks["keys"]:
        key = _key_of(jwk)
        if key is not None:
            found[str(jwk["kid"])] = key
    return found


def _key_of(jwk: Any) -> Key | None:
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or jwk.get("use", "sig") != "sig":
        return None
    kind = _TYPES.get(str(jwk.get("kty")))
    try:
        key = None if kind is None else kind.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    # RFC 7518 section 3.3: RSA keys have at least 2,048 bits.
    return None if isinstance(key, RSAKey) and key.raw_value.key_size < 2048 else key
