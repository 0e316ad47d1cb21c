"""Who calls: bearer tokens (RFC 6750), signed JWTs (RFC 7519, checked as RFC 8725 advises)."""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64decode

from shared import problems, times
from shared.keys import FRESH, KeysAway, KeySource, make_key
from shared.problems import ProblemError

__all__ = ["ALGORITHMS", "Caller", "KeySource", "Verifier", "make_key", "make_token"]

ALGORITHMS = ("Ed25519", "EdDSA", "ES256", "ES384", "RS256", "PS256")
"""Public-key signatures alone: never `none`, never a shared secret. `EdDSA` is the older name of `Ed25519`."""

LEEWAY = 30.0
"""Seconds by which clocks may differ."""

MOST_CACHED = 4096
LONGEST = 8192
"""Characters of the longest token that is looked at."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_RECIPIENT = re.compile(rf"({_NAME.pattern}\.)?{_NAME.pattern}")
"""A subscriber, or `subscription.<name>`."""
_LONGEST_ACCOUNT = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the token speaks for: an agency, an authority, a recipient of notices, or none (an operator)."""

    agency: str | None
    authority: str | None
    scopes: frozenset[str]
    subscriber: str | None = None
    account: str | None = None
    """The claim `sub`: whose token it is, where it says so."""

    @property
    def name(self) -> str:
        """Under which name what it sends is counted."""
        kinds = ("agency", "authority", "subscriber", "account")
        known = (f"{kind} {name}" for kind in kinds if (name := getattr(self, kind)))
        return next(known, "operator")


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    until: float
    """Seconds since 1970: when the token ends, leeway included."""
    at: float
    """When its signature was checked."""


class Verifier:
    """Checks tokens; a good one is remembered by its exact bytes, for checking a signature costs 100 microseconds.

    It is remembered for at most `FRESH` seconds, so a key that is taken away serves at most twice that long.
    """

    def __init__(self, issuer: str, audience: str, keys: KeySource, algorithms: tuple[str, ...] = ALGORITHMS) -> None:
        """`algorithms`: a part of `ALGORITHMS`; anything else is a bug and a ValueError."""
        if not algorithms or not set(algorithms) <= set(ALGORITHMS):
            raise ValueError("Tokens are signed with one of " + ", ".join(ALGORITHMS) + ".")
        self._issuer, self._audience, self._keys = issuer, audience, keys
        self._algorithms = algorithms
        self._registry = jws.JWSRegistry(algorithms=list(algorithms), strict_check_header=False)
        self._known: dict[str, _Verified] = {}

    async def verify(self, authorization_header: str | None, scope: str, now: datetime) -> Caller:
        """The caller; raises `ProblemError` 401 for no good token, 403 without the scope, 503 without any keys."""
        token = _token_of(authorization_header)
        at = now.timestamp()
        known = self._known.get(token)
        if known is None or at >= known.until or not 0 <= at - known.at <= FRESH:
            self._known.pop(token, None)
            known = await self._check(token, now)
            self._remember(token, known)
        if scope not in known.caller.scopes:
            raise ProblemError(problems.forbidden(scope))
        return known.caller

    async def _check(self, token: str, now: datetime) -> _Verified:
        kid = _kid_of(token, self._algorithms)
        try:
            key = await self._keys.find(kid, now)
        except KeysAway:
            raise ProblemError(problems.unavailable()) from None
        if key is None:
            raise _refused("The token is signed with a key that is not known.")
        try:
            claims = jwt.decode(token, key, algorithms=list(self._algorithms), registry=self._registry).claims
        except (JoseError, ValueError, TypeError):
            # Whatever the library found: a wrong signature, a key of another kind, a payload that is no JSON.
            raise _refused("The signature of the token is wrong.") from None
        until = self._check_claims(claims, now.timestamp())
        return _Verified(_caller_in(claims), until, now.timestamp())

    def _check_claims(self, claims: dict[str, Any], now: float) -> float:
        """When the token ends, leeway included; raises where it is not for us or not for now."""
        if claims.get("iss") != self._issuer:
            raise _refused("The token was issued by somebody else.")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise _refused("The token is meant for somebody else.")
        until, since = _seconds(claims, "exp"), _seconds(claims, "nbf")
        if until is None:
            raise _refused("The token does not say when it ends.")
        if now >= until + LEEWAY:
            raise _refused("The token has expired.")
        if since is not None and now < since - LEEWAY:
            raise _refused("The token is not valid yet.")
        return until + LEEWAY

    def _remember(self, token: str, verified: _Verified) -> None:
        if len(self._known) >= MOST_CACHED:
            del self._known[next(iter(self._known))]
        self._known[token] = verified


def make_token(
    private: dict[str, Any],
    *,
    issuer: str,
    audience: str,
    agency: str | None = None,
    authority: str | None = None,
    subscriber: str | None = None,
    account: str | None = None,
    scopes: tuple[str, ...] | frozenset[str],
    lifetime: timedelta,
    now: datetime | None = None,
) -> str:
    """A signed token as `make_key`'s private key makes it; for the local stack and tests."""
    since = (now or times.now()).timestamp()
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "iat": int(since),
        "exp": int(since + lifetime.total_seconds()),
    }
    names = {"agency": agency, "authority": authority, "subscriber": subscriber, "sub": account}
    claims |= {name: value for name, value in names.items() if value is not None}
    claims["scope"] = " ".join(sorted(scopes))
    header = {"alg": "Ed25519", "kid": private["kid"]}
    return jwt.encode(header, claims, OKPKey.import_key(private), algorithms=["Ed25519"])


def _refused(detail: str) -> ProblemError:
    return ProblemError(problems.unauthorized(detail))


def _token_of(header: str | None) -> str:
    if not header:
        raise ProblemError(problems.unauthorized("Send a bearer token.", presented=False))
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > LONGEST or not token.isascii():
        raise _refused("The Authorization header is not a bearer token.")
    return token


def _kid_of(token: str, algorithms: tuple[str, ...]) -> str:
    """The key id in the token's header, which is not to be believed before the signature is checked."""
    try:
        header = json.loads(urlsafe_b64decode(token.partition(".")[0].encode()))
        algorithm, kid = header["alg"], header["kid"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _refused("The token is malformed, or names no key.") from None
    if algorithm not in algorithms or not isinstance(kid, str):
        raise _refused("The token is not signed in a way that is accepted here.")
    return kid


def _seconds(claims: dict[str, Any], name: str) -> float | None:
    """A time among the claims, in seconds since 1970 (RFC 7519 section 2)."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise _refused("The token has a time that is none.")
    return float(value)


def _caller_in(claims: dict[str, Any]) -> Caller:
    """Who the claims speak for; names become parts of topics and ids, so nothing else than a name is taken."""
    agency, authority = _name_in(claims, "agency", _NAME), _name_in(claims, "authority", _NAME)
    subscriber = _name_in(claims, "subscriber", _RECIPIENT)
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise _refused("The token names its scopes in a wrong form.")
    account = claims.get("sub")
    is_one = isinstance(account, str) and 0 < len(account) <= _LONGEST_ACCOUNT and account.isprintable()
    return Caller(agency, authority, frozenset(scope.split()), subscriber, account if is_one else None)


def _name_in(claims: dict[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    value = claims.get(name)
    if value is None or (isinstance(value, str) and form.fullmatch(value)):
        return value
    raise _refused(f"The token has the claim {name} in a wrong form.")
