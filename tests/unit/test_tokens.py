"""Bearer tokens: who is let in, who is not, and what is remembered for how long."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from shared.problems import ProblemError
from shared.tokens import Caller, KeySource, Verifier, make_key, make_token

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
PRIVATE, JWKS = make_key()
SCOPES = frozenset({"letters:write", "letters:read"})


class Keys:
    """A JWKS address that counts its visitors and can be changed or away."""

    def __init__(self, jwks: Any = JWKS) -> None:
        self.jwks, self.visits = jwks, 0
        self.source = KeySource(
            "https://keys.example.org/jwks", client=httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        )

    def answer(self, _: httpx.Request) -> httpx.Response:
        self.visits += 1
        return httpx.Response(503) if self.jwks is None else httpx.Response(200, json=self.jwks)


def verifier(keys: Keys | None = None) -> Verifier:
    return Verifier("issuer", "rogatory", (keys or Keys()).source)


def token(**changes: Any) -> str:
    given: dict[str, Any] = {
        "issuer": "issuer",
        "audience": "rogatory",
        "agency": "contact-point",
        "scopes": SCOPES,
        "lifetime": timedelta(minutes=10),
        "now": NOW,
    }
    return make_token(changes.pop("private", PRIVATE), **(given | changes))


def signed(claims: dict[str, Any], **header: Any) -> str:
    """A token with any claims and any header, signed by hand, for the library would refuse to make some of them."""
    parts = [{"alg": "Ed25519", "kid": PRIVATE["kid"]} | header, claims]
    body = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    key = OKPKey.import_key(PRIVATE).private_key
    assert isinstance(key, Ed25519PrivateKey)
    return (body + b"." + base64.urlsafe_b64encode(key.sign(body)).rstrip(b"=")).decode()


CLAIMS: dict[str, Any] = {"iss": "issuer", "aud": "rogatory", "exp": NOW.timestamp() + 60, "scope": "letters:write"}


async def status_of(authorization: str | None, scope: str = "letters:write", now: datetime = NOW) -> tuple[int, str]:
    with pytest.raises(ProblemError) as caught:
        await verifier().verify(authorization, scope, now)
    return caught.value.problem.status, caught.value.problem.detail


async def test_a_good_token_says_who_calls() -> None:
    caller = await verifier().verify(f"Bearer {token()}", "letters:write", NOW)

    assert caller == Caller("contact-point", None, SCOPES)


@pytest.mark.parametrize("name", ["operations", "subscription.night-watch"])
async def test_a_recipient_of_notices_calls(name: str) -> None:
    caller = await verifier().verify(f"Bearer {token(agency=None, subscriber=name)}", "letters:read", NOW)

    assert caller == Caller(None, None, SCOPES, name)


async def test_an_authority_or_an_operator_calls() -> None:
    one = await verifier().verify(f"bearer {token(agency=None, authority='desk')}", "letters:read", NOW)
    other = await verifier().verify(f"Bearer {token(agency=None)}", "letters:read", NOW)

    assert (one.agency, one.authority, other.agency, other.authority) == (None, "desk", None, None)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer a.b",
        "Bearer a.b.c",
        "Bearer é",
        "Bearer " + "x" * 9000,
        f"Bearer {token()}x",
        f"Bearer {token()[:-4]}",
        f"Bearer  {token()}",
        f"Bearer {token()}.x",
    ],
)
async def test_what_is_no_token_is_401(authorization: str | None) -> None:
    assert (await status_of(authorization))[0] == 401


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (token(issuer="other"), "issued by somebody else"),
        (token(audience="other"), "meant for somebody else"),
        (token(now=NOW - timedelta(minutes=11)), "expired"),
        (token(private=make_key()[0]), "key that is not known"),
        (token(private=make_key()[0] | {"kid": PRIVATE["kid"]}), "signature"),
        (token(agency="../x"), "wrong form"),
        (signed(CLAIMS | {"nbf": NOW.timestamp() + 31}), "not valid yet"),
        (signed({name: value for name, value in CLAIMS.items() if name != "exp"}), "when it ends"),
        (signed(CLAIMS | {"exp": "tomorrow"}), "a time that is none"),
        (signed(CLAIMS | {"exp": True}), "a time that is none"),
        (signed(CLAIMS | {"scope": ["letters:write"]}), "scopes in a wrong form"),
        (signed(CLAIMS | {"agency": 7}), "wrong form"),
        (token(agency=None, authority="with.a-dot"), "wrong form"),
        (token(agency=None, subscriber="../x"), "wrong form"),
        (token(agency=None, subscriber="two.dots.here"), "wrong form"),
        (token(agency=None, subscriber=".operations"), "wrong form"),
        (signed(CLAIMS | {"aud": {"rogatory": 1}}), "meant for somebody else"),
        (signed(CLAIMS, crit=["odd"], odd=1), "signature"),
    ],
)
async def test_a_token_that_is_not_good_is_401_with_the_reason(bad: str, reason: str) -> None:
    status, detail = await status_of(f"Bearer {bad}")

    assert status == 401
    assert reason in detail


def test_only_public_key_signatures_can_be_chosen() -> None:
    for algorithms in (("HS256",), ("none",), ()):
        with pytest.raises(ValueError, match="signed with one of"):
            Verifier("issuer", "rogatory", Keys().source, algorithms)


async def test_a_shared_secret_or_no_signature_is_never_good() -> None:
    secret = OctKey.generate_key(256, {"kid": PRIVATE["kid"]}, auto_kid=False)
    forged = jwt.encode({"alg": "HS256", "kid": PRIVATE["kid"]}, CLAIMS, secret, ["HS256"])
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": PRIVATE["kid"]}).encode()).rstrip(b"=").decode()

    for bad in (forged, f"{header}.{token().split('.')[1]}."):
        assert await status_of(f"Bearer {bad}") == (401, "The token is not signed in a way that is accepted here.")


async def test_a_header_that_we_do_not_know_is_no_hindrance() -> None:
    assert await verifier().verify(f"Bearer {signed(CLAIMS, nonce='x')}", "letters:write", NOW)


async def test_clocks_may_differ_by_half_a_minute() -> None:
    late = f"Bearer {token(lifetime=timedelta(seconds=60))}"

    assert await verifier().verify(late, "letters:write", NOW + timedelta(seconds=89))
    assert (await status_of(late, now=NOW + timedelta(seconds=90)))[0] == 401


async def test_without_the_scope_it_is_403() -> None:
    assert (await status_of(f"Bearer {token()}", "cases:write"))[0] == 403


@pytest.mark.parametrize(
    ("kind", "algorithm"), [(ECKey.generate_key("P-256"), "ES256"), (RSAKey.generate_key(2048), "RS256")]
)
async def test_other_key_types_serve_as_well(kind: ECKey | RSAKey, algorithm: str) -> None:
    kind.ensure_kid()
    good = jwt.encode({"alg": algorithm, "kid": kind.kid}, CLAIMS, kind, [algorithm])
    keys = Keys({"keys": [{"kty": "odd", "kid": "x"}, 7, {"kty": "EC", "kid": "y"}, dict(kind.as_dict(private=False))]})

    assert await verifier(keys).verify(f"Bearer {good}", "letters:write", NOW)


async def test_a_known_token_is_not_checked_again_and_many_at_once_look_for_keys_once() -> None:
    keys = Keys()
    checks = verifier(keys)

    await asyncio.gather(*(checks.verify(f"Bearer {token()}", "letters:read", NOW) for _ in range(20)))

    assert keys.visits == 1


async def test_a_remembered_token_ends_when_it_says() -> None:
    checks = verifier()
    short = f"Bearer {token(lifetime=timedelta(seconds=1))}"
    await checks.verify(short, "letters:read", NOW)

    with pytest.raises(ProblemError, match="expired"):
        await checks.verify(short, "letters:read", NOW + timedelta(seconds=31))


async def test_a_key_that_is_taken_away_serves_at_most_a_minute_longer() -> None:
    keys = Keys()
    checks = verifier(keys)
    await checks.verify(f"Bearer {token(agency='other')}", "letters:read", NOW)
    keys.jwks = {"keys": []}
    await checks.verify(f"Bearer {token()}", "letters:read", NOW + timedelta(seconds=29))

    with pytest.raises(ProblemError, match="not known"):
        await checks.verify(f"Bearer {token()}", "letters:read", NOW + timedelta(seconds=60))


async def test_a_new_key_is_found_and_unknown_ones_do_not_make_us_look_all_the_time() -> None:
    keys = Keys()
    checks = verifier(keys)
    await checks.verify(f"Bearer {token()}", "letters:read", NOW)
    private, keys.jwks = make_key()
    for second in range(29):
        with pytest.raises(ProblemError, match="not known"):
            await checks.verify(f"Bearer {token(private=private)}", "letters:read", NOW + timedelta(seconds=second))
    assert keys.visits == 1

    assert await checks.verify(f"Bearer {token(private=private)}", "letters:read", NOW + timedelta(seconds=31))


async def test_the_last_known_keys_serve_for_an_hour_while_their_source_is_away() -> None:
    keys = Keys()
    checks = verifier(keys)
    long = f"Bearer {token(lifetime=timedelta(hours=9))}"
    await checks.verify(long, "letters:read", NOW)
    keys.jwks = None

    assert await checks.verify(long, "letters:read", NOW + timedelta(minutes=59))
    with pytest.raises(ProblemError, match="503"):
        await checks.verify(long, "letters:read", NOW + timedelta(minutes=61))


async def test_without_any_keys_it_is_503_until_they_come() -> None:
    keys = Keys(None)
    checks = verifier(keys)
    with pytest.raises(ProblemError, match="503"):
        await checks.verify(f"Bearer {token()}", "letters:read", NOW)
    keys.jwks = JWKS

    assert await checks.verify(f"Bearer {token()}", "letters:read", NOW + timedelta(seconds=2))


@pytest.mark.parametrize(
    ("where", "answer"), [("https://keys.example.org/", b"[" * 100_000), ("http://[", b""), ("https://:80", b"{}")]
)
async def test_a_source_that_is_none_is_away(where: str, answer: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=answer))
    source = KeySource(where, client=httpx.AsyncClient(transport=transport))

    with pytest.raises(ProblemError, match="503"):
        await Verifier("issuer", "rogatory", source).verify(f"Bearer {token()}", "letters:read", NOW)


async def test_keys_come_from_a_file_as_well(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    source = KeySource(path)
    checks = Verifier("issuer", "rogatory", source)
    with pytest.raises(ProblemError, match="503"):
        await checks.verify(f"Bearer {token()}", "letters:read", NOW)
    path.write_text(json.dumps(JWKS))

    assert await checks.verify(f"Bearer {token()}", "letters:read", NOW + timedelta(seconds=2))
    await source.aclose()


async def test_so_many_tokens_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.tokens.MOST_CACHED", 3)
    checks = verifier()
    for name in "abcde":
        await checks.verify(f"Bearer {token(agency=name)}", "letters:read", NOW)

    assert len(checks._known) == 3
