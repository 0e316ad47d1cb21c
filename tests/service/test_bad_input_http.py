"""What bad input over HTTP gets: problem details that name every bad field at once and repeat nothing of it."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey

from deploy.local.keys import AUDIENCE, ISSUER
from shared import times
from shared.keys import make_key
from shared.letter import MAX_LETTER_BYTES
from shared.limits import CONTRACT
from shared.tokens import make_token
from tests.service.running import AGENCY, SERVICES, System, letter, lines

NDJSON = "application/x-ndjson"
MARK = "Sensitive-4711"
"""Stands in every bad value; no answer may repeat it."""


def text(**members: Any) -> bytes:
    """A letter of these members as JSON, beside those that it must have."""
    return json.dumps(letter("r") | members).encode()


def with_contents(value: str) -> bytes:
    """A letter with this JSON as one of its contents, as it stands."""
    contents = {"type": "stored_data_access", "contents": {"facts": "@"}}
    return json.dumps(letter("r", measures=[contents])).replace('"@"', value).encode()


@dataclass(frozen=True)
class Bad:
    """A body, the status that it gets, and which places are named."""

    name: str
    body: bytes
    status: int
    pointers: tuple[str, ...] = ()
    media_type: str = "application/json"


CASES = (
    Bad("nothing", b"", 400),
    Bad("not JSON", f'{{"reference": "{MARK}"'.encode(), 400),
    Bad("not UTF-8", b'{"reference": "\xff"}', 400),
    Bad("UTF-16", json.dumps(letter(MARK)).encode("utf-16"), 400),
    Bad("a byte order mark", b"\xef\xbb\xbf" + text(), 400),
    Bad("NaN", with_contents("NaN"), 400),
    Bad("Infinity", with_contents("-Infinity"), 400),
    Bad("ten thousand brackets", b"[" * 10_000 + b"]" * 10_000, 400),
    Bad("ten thousand brackets within", with_contents("[" * 10_000 + "]" * 10_000), 400),
    Bad("ten thousand objects", with_contents('{"a":' * 10_000 + "1" + "}" * 10_000), 400),
    Bad("a list", b"[]", 422, ("",)),
    Bad("a number", b"17", 422, ("",)),
    Bad("null", b"null", 422, ("",)),
    Bad(
        "an empty object",
        b"{}",
        422,
        ("/channel", "/direction", "/measures", "/party", "/reference", "/sent_at"),
    ),
    Bad(
        "many fields at once",
        text(
            party=MARK,
            direction=MARK,
            channel=MARK,
            sent_at=MARK,
            urgency=MARK,
            confidential=MARK,
            treaty_basis=[MARK],
            contact=MARK,
            measures=[{"type": MARK}, {"contents": []}],
        ),
        422,
        (
            "/channel",
            "/confidential",
            "/contact",
            "/direction",
            "/measures/0/type",
            "/measures/1/contents",
            "/measures/1/type",
            "/party",
            "/sent_at",
            "/treaty_basis/0",
            "/urgency",
        ),
    ),
    Bad("an unknown State", text(party="XX"), 422, ("/party",)),
    Bad("a State in small letters", text(party="fr"), 422, ("/party",)),
    Bad("an unknown channel", text(channel="pigeon"), 422, ("/channel",)),
    Bad("an unknown request type", text(measures=[{"type": MARK}]), 422, ("/measures/0/type",)),
    Bad("no measure", text(measures=[]), 422, ("/measures",)),
    Bad("fifty-one measures", text(measures=[{"type": "extradition"}] * 51), 422, ("/measures",)),
    Bad("a time without zone", text(sent_at="2026-03-10T08:00:00"), 422, ("/sent_at",)),
    Bad("a time that is a number", text(sent_at=1773126000), 422, ("/sent_at",)),
    Bad(
        "a deadline without zone",
        text(requested_deadline={"at": "2026-03-10T08:00:00", "reason": MARK}),
        422,
        ("/requested_deadline/at",),
    ),
    Bad("a lone surrogate", with_contents(r'"\ud800"'), 422, ("/measures/0/contents/facts",)),
    Bad("a lone surrogate in the reference", text(reference="\ud800"), 422, ("/reference",)),
    Bad("NUL", with_contents(r'"a\u0000b"'), 422, ("/measures/0/contents/facts",)),
    Bad("NUL in the reference", text(reference="a\0b"), 422, ("/reference",)),
    Bad("a number of 70 bits", with_contents(str(2**70)), 422, ("/measures/0/contents/facts",)),
    Bad("a number of ten thousand digits", with_contents("9" * 10_000), 422, ("/measures/0/contents/facts",)),
    Bad("1e999", with_contents("1e999"), 422, ("/measures/0/contents/facts",)),
    Bad("objects within contents", with_contents('{"a": 1}'), 422, ("/measures/0/contents/facts",)),
    Bad("a name twice", text()[:-1] + b', "party": "GB"}', 422, ("/party",)),
    Bad("an unknown field", text(remark=MARK), 422, ("/remark",)),
    Bad("an unknown field with a stranger's name", text(**{f"{MARK} passport": 1}), 422, ("",)),
    Bad("contents named by a letter", text(measures=[{"type": "extradition", "contents": {"A b": 1}}]), 422),
    Bad("a reference of 201 characters", text(reference="r" * 201), 422, ("/reference",)),
    Bad("an attachment that is not there", text(measures=[{"type": "extradition", "attachments": [MARK]}]), 422),
    Bad("over 512 KiB", text(urgency_reason=MARK * 40_000), 413),
    Bad("NDJSON over its bytes", b"\n" * (CONTRACT.batch_bytes + 1), 413, media_type=NDJSON),
    Bad("NDJSON over its lines", b"{}\n" * (CONTRACT.batch_lines + 1), 413, media_type=NDJSON),
    Bad("XML", b"<letter/>", 415, media_type="application/xml"),
    Bad("no content type", text(), 415, media_type=""),
    Bad("a form", b"reference=1", 415, media_type="application/x-www-form-urlencoded"),
)


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
async def test_a_bad_body_gets_a_problem_that_names_the_places(services: System, bad: Bad) -> None:
    answer = await services.post(bad.body, media_type=bad.media_type)

    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (bad.status, bad.status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"].startswith("urn:rogatory:problem:")
    assert problem["title"]
    assert problem["detail"]
    if bad.pointers:
        assert tuple(sorted(error["pointer"] for error in problem["errors"])) == bad.pointers
    assert MARK not in answer.text


@pytest.mark.parametrize("bad", [bad for bad in CASES if bad.status in {400, 422}], ids=lambda bad: bad.name)
async def test_a_bad_line_harms_no_other(services: System, bad: Bad, prefix: str) -> None:
    good = [letter(f"{prefix}-{n}") for n in (1, 2)]
    body = lines(good[:1]) + bad.body.replace(b"\n", b" ") + b"\n" + lines(good[1:])

    answer = await services.post(body, media_type=NDJSON)

    told = [json.loads(line) for line in answer.text.splitlines()]
    expected = [202, 202] if not bad.body.strip() else [202, bad.status, 202]
    assert [line["status"] for line in told] == expected
    assert MARK not in answer.text


async def test_an_unknown_request_type_is_told_the_known_ones(services: System) -> None:
    answer = await services.post(text(measures=[{"type": "nonsense"}]))

    [error] = answer.json()["errors"]
    assert error["pointer"] == "/measures/0/type"
    for known in ("data_preservation", "extradition", "stored_data_access"):
        assert known in error["detail"]


async def test_a_line_over_the_limit_of_a_letter_is_refused_alone(services: System, prefix: str) -> None:
    body = lines([letter(prefix, urgency_reason="x" * MAX_LETTER_BYTES), letter(f"{prefix}-2")])

    answer = await services.post(body, media_type=NDJSON)

    assert [json.loads(line)["status"] for line in answer.text.splitlines()] == [413, 202]


async def test_a_letter_of_exactly_the_limit_is_taken(services: System, prefix: str) -> None:
    room = MAX_LETTER_BYTES - len(json.dumps(letter(prefix, urgency_reason="")))

    assert (await services.post(letter(prefix, urgency_reason="x" * room))).status_code == 202
    assert (await services.post(letter(f"{prefix}2", urgency_reason="x" * room))).status_code == 413


async def test_a_bad_letter_leaves_nothing_behind(services: System, prefix: str) -> None:
    await services.post(letter(prefix, party="Narnia"))

    assert services.document("letters", services.ids.letter(AGENCY, prefix)) is None
    assert (await services.post(letter(prefix))).status_code == 202


async def test_wrong_parameters_are_named(services: System) -> None:
    answer = await services.get("/v1/letters", party="Narnia")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/query/party"]
    assert "Narnia" not in answer.text


AFTER = ("", "~", "x~y", "2026", "\ud7ff", "~" * 80, "2026-03-10T08:00:00Z~let_x", f"2026-03-10~let_{'0' * 32}")


@pytest.mark.parametrize("after", AFTER, ids=ascii)
async def test_a_page_that_nobody_named_is_a_wrong_parameter(services: System, after: str) -> None:
    answer = await services.get("/v1/letters", after=after)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/query/after"]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("DELETE", "/live", 405)])
async def test_unknown_paths_and_methods_get_problems_too(
    services: System, service: str, method: str, path: str, status: int
) -> None:
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.request(method, services.url(service, path))

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


Claims = dict[str, Any]


def claims(**other: Any) -> Claims:
    """A good token's claims, with others in their place; None leaves one out."""
    now = int(times.now().timestamp())
    good = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600, "agency": AGENCY, "scope": "letters:write"}
    return {name: value for name, value in (good | other).items() if value is not None}


def signed(services: System, **other: Any) -> str:
    """A token of the deployment's issuer with these claims."""
    private = services.keys.token_key
    header = {"alg": "Ed25519", "kid": private["kid"]}
    return jwt.encode(header, claims(**other), OKPKey.import_key(private), algorithms=["Ed25519"])


def part(value: Mapping[str, Any]) -> str:
    """A part of a token, unsigned."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def with_none(services: System) -> str:
    """A token that says it needs no signature."""
    return f"{part({'alg': 'none', 'kid': services.keys.token_key['kid']})}.{part(claims())}."


def with_public_key_as_secret(services: System) -> str:
    """The classic confusion: HMAC with the public key, which everybody knows, as its secret."""
    public = services.keys.jwks["keys"][0]
    header = {"alg": "HS256", "kid": public["kid"]}
    return jwt.encode(header, claims(), OctKey.import_key(public["x"] * 2), algorithms=["HS256"])


def by_another_key(services: System) -> str:
    """Signed by somebody else under our key's name."""
    private, _ = make_key()
    private["kid"] = services.keys.token_key["kid"]
    return make_token(
        private, issuer=ISSUER, audience=AUDIENCE, agency=AGENCY, scopes=("letters:write",), lifetime=timedelta(hours=1)
    )


def by_an_unknown_key(services: System) -> str:
    """Signed by a key that is in no list."""
    key = ECKey.generate_key("P-256", {"kid": "unknown"})
    return jwt.encode({"alg": "ES256", "kid": "unknown"}, claims(), key)


def changed(services: System) -> str:
    """A good signature under other claims."""
    header, _, signature = signed(services).split(".")
    return f"{header}.{part(claims(agency='interpol-bureau'))}.{signature}"


TOKENS: Mapping[str, tuple[int, Callable[[System], str]]] = {
    "good": (422, signed),
    "expired": (401, lambda s: signed(s, exp=int(times.now().timestamp()) - 60)),
    "not valid yet": (401, lambda s: signed(s, nbf=int(times.now().timestamp()) + 600)),
    "without an end": (401, lambda s: signed(s, exp=None)),
    "another issuer's": (401, lambda s: signed(s, iss="https://elsewhere")),
    "without an issuer": (401, lambda s: signed(s, iss=None)),
    "for another audience": (401, lambda s: signed(s, aud="elsewhere")),
    "for one of several audiences": (422, lambda s: signed(s, aud=["elsewhere", AUDIENCE])),
    "without the scope": (403, lambda s: signed(s, scope="letters:read")),
    "without any scope": (403, lambda s: signed(s, scope=None)),
    "of an authority": (403, lambda s: signed(s, agency=None, authority="security-service")),
    "of an unknown agency": (403, lambda s: signed(s, agency="nobody-knows")),
    "of no agency's name": (401, lambda s: signed(s, agency="../contact-point")),
    "with a list as agency": (401, lambda s: signed(s, agency=[AGENCY])),
    "unsigned": (401, with_none),
    "public key as secret": (401, with_public_key_as_secret),
    "another key": (401, by_another_key),
    "an unknown key": (401, by_an_unknown_key),
    "changed": (401, changed),
    "nonsense": (401, lambda _: "nonsense"),
    "three dots": (401, lambda _: "..."),
    "very long": (401, lambda _: "a" * 10_000),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_a_token_that_is_not_good_opens_nothing(services: System, name: str) -> None:
    status, make = TOKENS[name]
    token = make(services)

    answer = await services.post(b"{}", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert token not in answer.text
    if status == 401 or "scope" in name:
        assert answer.headers["www-authenticate"].startswith('Bearer realm="rogatory", error=')


@pytest.mark.parametrize("header", [None, "", "Basic dXNlcjpwYXNz", "Bearer", "Bearer a b"], ids=repr)
async def test_without_a_token_nothing_opens(services: System, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}

    answer = await services.post(b"{}", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_letter_that_names_another_agency_is_refused(services: System, prefix: str) -> None:
    answer = await services.post(letter(prefix, agency="interpol-bureau"))

    assert answer.status_code == 403
    assert services.document("letters", services.ids.letter(AGENCY, prefix)) is None
    assert services.document("letters", services.ids.letter("interpol-bureau", prefix)) is None


async def test_the_token_is_asked_for_before_the_body_is_read(services: System) -> None:
    answer = await services.post(b"x" * (MAX_LETTER_BYTES + 1), headers={})

    assert answer.status_code == 401
