"""`rogatory subscriber` and `rogatory silence`: what is asked of the notifier, and its answers in plain sentences."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from cli import of_notifier
from cli.__main__ import app
from cli.asking import NOTIFIER, ROUTER, Asking, find
from shared.failures import BadStart
from shared.times import read

Answers = Callable[[httpx.Request], httpx.Response]
SECRET = "whsec_c2VjcmV0"
STANDS: Mapping[str, Any] = {
    "name": "ministry",
    "channel": "webhook",
    "address": "https://hooks.example",
    "hears": {"when": {"lane": ["urgent", "normal"], "type": ["asset_freeze"]}},
    "language": "az",
    "group_seconds": None,
    "rate": 5,
    "state": "active",
    "pause": None,
    "signs": "v1",
    "old_keys_sign_until": None,
    "added_at": "2026-03-10T08:00:00.000000Z",
    "not_held_back": ["an emergency", "a clock that was missed"],
}
IN_FORCE = {
    "id": "sil_1",
    "when": {"lane": ["normal"]},
    "author": "Leyla",
    "reason": "Works on\nthe line\x1b[2J",
    "begun_at": "2026-03-10T08:00:00.000000Z",
    "until": "2026-03-10T10:00:00.000000Z",
    "not_held_back": ["an emergency"],
}


class Notifier:
    """Answers as it was told, and remembers what it was asked."""

    def __init__(self, status: int = 200, body: Any = None) -> None:
        self.status, self.body = status, body
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(self.status, json=self.body) if self.body is not None else httpx.Response(self.status)

    @property
    def heard(self) -> tuple[str, str, Any]:
        """Method, path and body of what it was asked last."""
        request = self.asked[-1]
        return request.method, request.url.raw_path.decode(), json.loads(request.content) if request.content else None


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command against a notifier."""

    def run(notifier: Answers, *arguments: str, typed: str = "") -> Result:
        asking = Asking(NOTIFIER, "http://notifier", "a token", httpx.MockTransport(notifier))
        monkeypatch.setattr(of_notifier, "notifier", lambda *_: asking)
        return CliRunner().invoke(app, list(arguments), input=typed)

    return run


ADD = ("subscriber", "add", "ministry", "--channel", "webhook", "--address", "https://hooks.example/x?token=t")


def test_add_says_what_it_was_told_and_shows_the_secret_this_once(run: Run) -> None:
    notifier = Notifier(201, {**STANDS, "secret": SECRET, "public_key": None})

    said = run(notifier, *ADD, "--when", "lane=urgent,normal", "--when", "type=asset_freeze", "--rate", "5")

    assert said.exit_code == 0
    assert notifier.heard == (
        "POST",
        "/v1/subscriptions",
        {
            "name": "ministry",
            "channel": "webhook",
            "address": "https://hooks.example/x?token=t",
            "language": "en",
            "hears": {"when": {"lane": ["urgent", "normal"], "type": ["asset_freeze"]}},
            "rate": 5,
        },
    )
    assert notifier.asked[0].headers["authorization"] == "Bearer a token"
    assert said.stdout.splitlines() == [
        "ministry is added: by webhook to https://hooks.example, hears lane urgent or normal, and type asset_freeze, "
        "in az, at most 5 a minute.",
        f"Its secret, shown this once: {SECRET}",
    ]


def test_the_same_again_says_so_and_an_address_can_come_from_standard_input(run: Run) -> None:
    notifier = Notifier(200, {**STANDS, "hears": {"audience": "duty"}, "secret": None, "public_key": None})

    said = run(notifier, *ADD[:-1], "-", "--audience", "duty", typed="https://typed.example/\n")

    assert notifier.heard[2]["address"] == "https://typed.example/"
    assert notifier.heard[2]["hears"] == {"audience": "duty"}
    assert "ministry stands already, as it was added" in said.stdout
    assert "hears the audience duty" in said.stdout
    assert "secret" not in said.stdout


@pytest.mark.parametrize(
    "options",
    [(), ("--audience", "duty", "--everything"), ("--everything", "--when", "lane=normal"), ("--when", "lane")],
)
def test_what_it_hears_is_said_once_and_in_its_form(run: Run, options: tuple[str, ...]) -> None:
    said = run(Notifier(), *ADD, *options)

    assert isinstance(said.exception, BadStart)


def test_list_tells_each_on_a_line(run: Run) -> None:
    notifier = Notifier(
        200, {"subscriptions": [STANDS, {**STANDS, "name": "b", "state": "gone", "hears": {"when": {}}}]}
    )

    lines = run(notifier, "subscriber", "list").stdout.splitlines()

    assert notifier.heard == ("GET", "/v1/subscriptions", None)
    assert lines[0].startswith("ministry: active, by webhook to https://hooks.example, hears lane")
    assert lines[1].startswith("b: gone, ")
    assert "hears everything" in lines[1]
    assert lines[2] == "2 subscriptions."


PAUSE = ("subscriber", "pause", "ministry", "--reason", "They move")
PAUSED = {"author": "leyla", "reason": "They\nmove", "since": "2026-03-10T08:00:00.000000Z", "until": None}


def test_pause_says_what_it_does_not_hold_back(run: Run) -> None:
    notifier = Notifier(200, {**STANDS, "state": "paused", "pause": PAUSED})

    said = run(notifier, *PAUSE)

    assert notifier.heard == ("POST", "/v1/subscriptions/ministry/pause", {"reason": "They move"})
    assert said.stdout == (
        "ministry is paused (until it is resumed, by leyla: They move).\n"
        "It does not hold back: an emergency; a clock that was missed.\n"
    )


def test_a_pause_may_say_who_and_until_when(run: Run) -> None:
    notifier = Notifier(200, {**STANDS, "state": "paused", "pause": PAUSED})

    run(notifier, *PAUSE, "--by", "leyla", "--until", "2026-03-10T14:00+04:00")
    assert notifier.heard[2] == {"reason": "They move", "author": "leyla", "until": "2026-03-10T10:00:00.000000Z"}
    run(notifier, *PAUSE, "--for", "2 hours")
    assert timedelta(hours=1) < read(notifier.heard[2]["until"]) - datetime.now(UTC) <= timedelta(hours=2)
    assert isinstance(run(notifier, *PAUSE, "--for", "2 hours", "--until", "2026-03-10T14:00Z").exception, BadStart)
    assert run(notifier, *PAUSE[:3]).exit_code == 2


def test_list_says_who_paused_it_why_and_until_when(run: Run) -> None:
    ends = {**PAUSED, "until": "2026-03-10T10:00:00.000000Z"}
    before = {"author": None, "reason": None, "since": None, "until": None}
    found = [{**STANDS, "state": "paused", "pause": pause} for pause in (ends, before)]

    lines = run(Notifier(200, {"subscriptions": found}), "subscriber", "list").stdout.splitlines()

    assert lines[0].startswith("ministry: paused (until 2026-03-10 10:00:00Z, by leyla: They move), by webhook to ")
    assert lines[1].startswith("ministry: paused (until it is resumed), by webhook to ")


def test_resume_can_bring_a_new_address(run: Run) -> None:
    notifier = Notifier(200, STANDS)

    run(notifier, "subscriber", "resume", "ministry", "--address", "https://new.example")
    assert notifier.heard == ("POST", "/v1/subscriptions/ministry/resume", {"address": "https://new.example"})
    run(notifier, "subscriber", "resume", "ministry")
    assert notifier.heard[2] is None


@pytest.mark.parametrize(
    ("outcome", "exit_code", "says"),
    [
        ({"delivered": True, "reason": None, "for_good": False}, 0, "Taken.\n"),
        ({"delivered": False, "reason": "HTTP 500", "for_good": False}, 1, "Not taken: HTTP 500.\n"),
        (
            {"delivered": False, "reason": "HTTP 404", "for_good": True},
            1,
            "Not taken: HTTP 404.\nTrying again cannot help.\n",
        ),
    ],
)
def test_test_says_what_became_of_it(run: Run, outcome: Any, exit_code: int, says: str) -> None:
    said = run(Notifier(200, outcome), "subscriber", "test", "ministry")

    assert (said.exit_code, said.stdout) == (exit_code, says)
    assert run(Notifier(200, outcome), "subscriber", "test", "ministry", "--json").exit_code == exit_code


def test_rotate_key_shows_the_new_one_and_until_when_the_old_one_signs(run: Run) -> None:
    body = {**STANDS, "secret": None, "public_key": "whpk_cHVi", "old_keys_sign_until": "2026-03-11T08:00:00.000000Z"}

    said = run(Notifier(200, body), "subscriber", "rotate-key", "ministry")

    assert said.stdout.splitlines() == [
        "ministry has a new key.",
        "Its public key: whpk_cHVi",
        "The old key signs too until 2026-03-11 08:00:00Z.",
    ]


def test_remove_takes_it_away_and_says_where_there_is_none(run: Run) -> None:
    notifier = Notifier(204)

    assert run(notifier, "subscriber", "remove", "a/b").stdout == "a/b is removed.\n"
    assert notifier.heard == ("DELETE", "/v1/subscriptions/a%2Fb", None)
    said = run(Notifier(404, {"detail": "?"}), "subscriber", "remove", "nobody")
    assert (said.exit_code, said.stderr) == (1, "There is no subscription 'nobody'.\n")


REFUSALS = [
    (409, {"detail": "Because.", "never_held": ["an emergency"], "errors": []}, 1, "Because.\n"),
    (
        422,
        {"detail": "Because.", "never_held": ["a"], "errors": [{"pointer": "/when", "detail": "?"}]},
        2,
        "Because.\n",
    ),
    (
        409,
        {"detail": "Another has this name.", "errors": [{"pointer": "/address", "detail": "Differs."}]},
        1,
        "Another has this name. --address: Differs.\n",
    ),
    (
        422,
        {
            "errors": [
                {"pointer": "/hears/when/lane/0", "detail": "Is no lane that there can be."},
                {"pointer": "", "detail": "Not so."},
            ]
        },
        2,
        "--when: Is no lane that there can be.; Not so.\n",
    ),
    (403, {"detail": "Only the desk."}, 2, "The notifier does not take the token: Only the desk.\n"),
    (503, {"detail": "Later."}, 1, "The notifier answers 503: Later.\n"),
]


@pytest.mark.parametrize(("status", "body", "exit_code", "sentence"), REFUSALS)
@pytest.mark.parametrize("arguments", [PAUSE, ("silence", "list")])
def test_a_refusal_is_one_sentence(
    run: Run, arguments: tuple[str, ...], status: int, body: Any, exit_code: int, sentence: str
) -> None:
    said = run(Notifier(status, body), *arguments)

    assert (said.exit_code, said.stderr, said.stdout) == (exit_code, sentence, "")


JSON_ANSWERS: list[tuple[tuple[str, ...], Any]] = [
    ((*ADD, "--everything"), {**STANDS, "secret": SECRET, "public_key": None}),
    (("subscriber", "list"), {"subscriptions": [STANDS]}),
    (PAUSE, STANDS),
    (("subscriber", "resume", "a"), STANDS),
    (("subscriber", "test", "a"), {"delivered": True, "reason": None, "for_good": False}),
    (("subscriber", "rotate-key", "a"), {**STANDS, "secret": SECRET}),
    (("silence", "add", "--when", "lane=normal", "--for", "2 hours", "--reason", "x"), IN_FORCE),
    (("silence", "list"), {"silences": [IN_FORCE]}),
]


@pytest.mark.parametrize(
    ("arguments", "body"), JSON_ANSWERS, ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else ""
)
def test_with_json_the_answer_is_printed_as_it_is(run: Run, arguments: tuple[str, ...], body: Any) -> None:
    assert json.loads(run(Notifier(200, body), *arguments, "--json").stdout) == body


@pytest.mark.parametrize("arguments", [("subscriber", "remove", "a"), ("silence", "end", "sil_1")])
def test_with_json_what_is_taken_away_leaves_an_empty_object(run: Run, arguments: tuple[str, ...]) -> None:
    assert json.loads(run(Notifier(204), *arguments, "--json").stdout) == {}


def test_a_silence_says_until_when_who_and_why(run: Run) -> None:
    notifier = Notifier(201, IN_FORCE)
    before = datetime.now(UTC)

    said = run(
        notifier,
        "silence",
        "add",
        "--when",
        "lane=normal",
        "--for",
        "2 hours",
        "--reason",
        "Works",
        "--author",
        "Leyla",
    )

    method, path, body = notifier.heard
    assert (method, path, body["when"]) == ("POST", "/v1/silences", {"lane": ["normal"]})
    assert (body["author"], body["reason"]) == ("Leyla", "Works")
    assert timedelta() <= read(body["until"]) - before - timedelta(hours=2) < timedelta(minutes=1)
    assert said.stdout.splitlines() == [
        "sil_1: lane normal; until 2026-03-10 10:00:00Z, by Leyla: Works on the line[2J",
        "It does not hold back: an emergency.",
    ]


def test_a_silence_may_be_told_its_end_as_a_time(run: Run) -> None:
    notifier = Notifier(201, IN_FORCE)

    run(notifier, "silence", "add", "--when", "lane=normal", "--until", "2026-03-10T14:00+04:00", "--reason", "x")

    assert notifier.heard[2]["until"] == "2026-03-10T10:00:00.000000Z"
    assert notifier.heard[2]["author"]


@pytest.mark.parametrize(
    "options",
    [
        ("--for", "2 hours"),
        ("--when", "lane=normal"),
        ("--when", "lane=normal", "--for", "1 hour", "--until", "2026-03-10T14:00Z"),
        ("--when", "lane=normal", "--for", "soon"),
        ("--when", "lane=normal", "--until", "2026-03-10T14:00"),
        ("--when", "lane=normal", "--until", "tomorrow"),
    ],
)
def test_a_silence_without_its_end_or_its_facts_is_refused_here(run: Run, options: tuple[str, ...]) -> None:
    assert isinstance(run(Notifier(), "silence", "add", "--reason", "x", *options).exception, BadStart)


def test_silences_are_listed_and_ended(run: Run) -> None:
    listed = run(Notifier(200, {"silences": [IN_FORCE]}), "silence", "list")
    assert listed.stdout.splitlines()[-1] == "1 silence in force."

    notifier = Notifier(204)
    assert run(notifier, "silence", "end", "sil_1").stdout == "sil_1 is ended.\n"
    assert notifier.heard == ("DELETE", "/v1/silences/sil_1", None)


def test_the_notifier_is_found_beside_the_router_each_by_its_own_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROGATORY_TOKEN", "ROGATORY_TOKEN_FILE", ROUTER.url, NOTIFIER.url):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "environment").mkdir()
    (tmp_path / "tokens" / "authorities").mkdir(parents=True)
    (tmp_path / "tokens" / "authorities" / "desk.jwt").write_text("of the desk\n")
    for name, port in (("router", 8012), ("notifier", 8013)):
        text = f"ROGATORY_HOST=127.0.0.1\nROGATORY_PORT={port}\n"
        (tmp_path / "environment" / f"{name}.env").write_text(text)

    assert find(NOTIFIER, None, None, tmp_path) == ("http://127.0.0.1:8013", "of the desk")
    assert find(ROUTER, None, None, tmp_path) == ("http://127.0.0.1:8012", "of the desk")
    monkeypatch.setenv("ROGATORY_NOTIFIER_URL", "https://notifier.example")
    with pytest.raises(BadStart, match=r"a notifier at .* needs a token"):
        find(NOTIFIER, None, None, tmp_path)


def test_without_a_notifier_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NOTIFIER.url, raising=False)

    said = CliRunner().invoke(app, ["subscriber", "list", "--data", str(tmp_path)])

    assert said.exit_code == 2
    assert said.stderr.startswith("no notifier is known: start one with `rogatory up`")
