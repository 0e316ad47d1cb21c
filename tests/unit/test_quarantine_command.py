"""`rogatory quarantine`: all three services are asked; what is printed cannot harm who reads it."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cli import of_quarantine
from cli.__main__ import app
from cli.asking import INTAKE, NOTIFIER, ROUTER, Asking
from cli.quarantine_words import entry_table

Run = Callable[..., Result]
SERVICES = {one.name: one for one in (INTAKE, ROUTER, NOTIFIER)}
ENTRY = "qua_" + "1" * 32


def entry(service: str, number: int, **more: Any) -> dict[str, Any]:
    """One as a service shows it."""
    return {
        "entry": f"qua_{number:032x}",
        "service": service,
        "status": "held",
        "reason": "not a letter",
        "behind": None,
        "topic": "agency.contact-point.letters.v1",
        "lane": "urgent",
        "urgent": True,
        "partition": 0,
        "offset": number,
        "size": 12,
        "cut": False,
        "kept_at": f"2026-03-10T08:00:{number:02}.000000Z",
        "outcome": None,
        "failed_at": None,
        "proposal": None,
        **more,
    }


def whole(masked: bool = True) -> dict[str, Any]:
    """One with what was sent."""
    value = {"bytes": 12, "sha256": "ab", "kind": "JSON", "tree": {"facts": "<text of 4>"}, "text": None}
    key = {"bytes": 3, "sha256": "cd", "kind": "text", "tree": None, "text": None}
    copy: dict[str, Any] = {"key": key, "timestamp": "2026-03-10T07:59:59.000000Z", "value": value}
    copy |= {"headers": [["ce_type", "<4 bytes>"]], "brought_at": None, "difference": None}
    replay = {"entry": ENTRY, "would": [], "says": "It would be refused: not a letter."}
    story = [{"event": "alert.raised", "at": "2026-03-10T08:00:00.000000Z", "by": "intake", "said": {"reason": "x"}}]
    told = {"masked": masked, "replay": replay, "original": copy, "edited": [], "story": story}
    return entry("router", 1, entry=ENTRY) | told


class Services:
    """Three services, of which the router alone knows `ENTRY`; what each was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, dict[str, str], Any]] = []
        self.silent: set[str] = set()
        self.answers: dict[tuple[str, str], httpx.Response] = {}
        self.then: dict[tuple[str, str], httpx.Response] = {}
        """What is answered from the second time on."""

    def of(self, name: str) -> Callable[[httpx.Request], httpx.Response]:
        """One of them."""

        def answer(request: httpx.Request) -> httpx.Response:
            if name in self.silent:
                raise httpx.ConnectError("no")
            path, query = request.url.path.removeprefix("/v1/quarantine"), dict(request.url.params)
            body = json.loads(request.content) if request.content else None
            self.asked.append((name, request.method, path, query, body))
            if (name, path) in self.answers:
                told = self.answers[name, path]
                self.answers[name, path] = self.then.get((name, path), told)
                return told
            if path == "":
                page = {"entries": [entry(name, number) for number in _NUMBERS[name]], "next": None}
                return httpx.Response(200, json=page)
            return httpx.Response(404, json={"detail": "?"})

        return answer

    def router_says(self, path: str, told: dict[str, Any], code: int = 200) -> None:
        """What the router answers."""
        self.answers["router", path] = httpx.Response(code, json=told)


_NUMBERS = {"intake": (1, 4), "router": (2,), "notifier": (3,)}


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def run(services: Services, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command against the three."""

    def asking(name: str, _where: object) -> Asking:
        return Asking(SERVICES[name], f"http://{name}", "a token", httpx.MockTransport(services.of(name)))

    monkeypatch.setattr(of_quarantine, "asking", asking)
    monkeypatch.setattr("getpass.getuser", lambda: "anna")
    return lambda *arguments: CliRunner().invoke(app, ["quarantine", *arguments])


def test_one_table_shows_what_all_services_hold_the_oldest_first(run: Run, services: Services) -> None:
    result = run("list")

    rows = [line.split()[1] for line in result.output.splitlines() if line.startswith("qua_")]
    assert (result.exit_code, rows) == (0, ["intake", "router", "notifier", "intake"])
    assert result.output.endswith("\n4 entries.\n")
    assert {asked[3]["status"] for asked in services.asked} == {"held"}


def test_a_list_for_programs_is_whole_and_says_who_did_not_answer(run: Run, services: Services) -> None:
    services.silent = {"router"}

    result = run("list", "--json", "--status", "any", "--topic", "t", "--reason", "r", "--limit", "2")

    told = json.loads(result.stdout)
    assert [one["service"] for one in told["entries"]] == ["intake", "notifier"]
    assert (result.exit_code, told["more"]) == (1, True)
    assert "does not answer" in told["not_answered"][0]
    assert services.asked[0][3] == {"topic": "t", "reason": "r", "limit": "500"}


def test_nothing_matches_is_said_only_where_all_services_answered(run: Run, services: Services) -> None:
    for name in SERVICES:
        services.answers[name, ""] = httpx.Response(200, json={"entries": [], "next": None})
    nothing = run("list")
    services.silent = {"notifier"}
    not_all = run("list")
    services.answers["intake", ""] = httpx.Response(200, json={"entries": [entry("intake", 1)], "next": None})
    some = run("list")
    services.silent = set(SERVICES)
    nobody = run("list")

    assert (nothing.exit_code, nothing.stdout) == (0, "Nothing matches.\n")
    assert (not_all.exit_code, not_all.stdout) == (1, "Nothing found, but not every service answered.\n")
    assert some.stdout.endswith("\n1 entry, but not every service answered.\n")
    assert "The notifier does not answer" in not_all.stderr
    assert nobody.stderr.count("does not answer") == 3


@pytest.mark.parametrize("width", [80, 100, 139, 140, 160])
def test_an_id_is_never_cut(width: int) -> None:
    entries = [entry("notifier", 1), entry("intake", 2, reason="another agency's name " * 4, size=1_000_000)]
    entries[1] |= {"failed_at": "2026-03-10T09:00:00.000000Z", "offset": 10**12, "topic": "agency.a-long-name.letters"}
    console = Console(width=width)

    with console.capture() as captured:
        console.print(entry_table(entries, width))

    rows = [line.split()[0] for line in captured.get().splitlines() if line.startswith("qua_")]
    assert rows == [one["entry"] for one in entries]
    assert "\u2026" not in captured.get()


def test_a_list_says_what_was_tried_again_and_what_waits_for_somebody_else(run: Run, services: Services) -> None:
    failed_at = "2026-03-10T09:00:00.000000Z"
    page = [
        entry("intake", 1, failed_at=failed_at),
        entry("intake", 2, proposal={"act": "discard", "by": "anna"}),
        entry("intake", 3, proposal={"act": "replay", "by": "anna"}),
        entry("intake", 4, status="replayed", failed_at=failed_at),
    ]
    services.answers["intake", ""] = httpx.Response(200, json={"entries": page, "next": None})

    output = run("list", "--service", "intake").output

    assert output.count("held, tried again 2026-03-10 09:00:00Z") == output.count("tried again") == 1
    assert output.count("held, discard proposed") == output.count("held, a copy proposed") == 1
    services.router_says(f"/{ENTRY}", whole() | {"failed_at": failed_at})
    assert "tried again   2026-03-10 09:00:00Z, and held again" in run("show", ENTRY).output


def test_one_service_can_be_asked_alone(run: Run, services: Services) -> None:
    assert run("list", "--service", "router").exit_code == 0
    assert [asked[0] for asked in services.asked] == ["router"]
    wrong = run("list", "--service", "desk")
    assert "one of intake, router, notifier" in str(wrong.exception)


def test_an_entry_is_found_wherever_it_is_and_shown_masked(run: Run, services: Services) -> None:
    services.router_says(f"/{ENTRY}", whole())

    result = run("show", ENTRY)

    assert (result.exit_code, [asked[0] for asked in services.asked]) == (0, ["intake", "router"])
    assert "(masked)" in result.output
    assert "two people are needed to discard it" in result.output
    assert "It would be refused: not a letter." in result.output
    assert "timestamp: 2026-03-10T07:59:59.000000Z" in result.output
    assert "key: 3 bytes, text\n" in result.output


def test_in_the_clear_stands_the_text_that_was_sent_and_not_what_was_read_from_it(run: Run, services: Services) -> None:
    told, text = whole(masked=False), '{"a": 1.0,  "a": 1e3}\\n'
    told["original"]["value"]["text"], told["original"]["key"]["text"] = text, "FR-1"
    services.router_says(f"/{ENTRY}/look", told)

    lines = run("show", ENTRY, "--clear", "--because", "x").output.splitlines()

    assert f"    {text}" in lines
    assert lines[lines.index("    key: 3 bytes, text") + 1] == "    FR-1"


def test_looking_in_the_clear_says_who_and_why(run: Run, services: Services) -> None:
    services.router_says(f"/{ENTRY}/look", whole(masked=False))

    assert run("show", ENTRY, "--clear").exit_code != 0
    assert run("show", ENTRY, "--clear", "--because", "the sender rang").exit_code == 0
    assert services.asked[-1][4] == {"by": "anna", "reason": "the sender rang"}


def test_an_entry_that_nobody_has_is_said_so_and_one_who_is_silent_may_have_it(run: Run, services: Services) -> None:
    nobody = run("show", ENTRY)
    services.silent = {"notifier"}
    silent = run("show", ENTRY)

    assert (nobody.exit_code, "No service has set aside" in nobody.output) == (1, True)
    assert (silent.exit_code, "The notifier does not answer" in silent.output) == (1, True)


def test_a_dry_run_says_what_would_happen_and_exits_by_it(run: Run, services: Services) -> None:
    services.router_says(f"/{ENTRY}/replay", {"would": [{"what": "begin"}], "says": "It would begin."})
    good = run("replay", ENTRY, "--dry-run")
    services.router_says(f"/{ENTRY}/replay", {"would": [{"what": "refused"}], "says": "It would be refused: x."})
    bad = run("replay", ENTRY, "--dry-run")

    assert [(one.exit_code, one.output) for one in (good, bad)] == [
        (0, "It would begin.\n"),
        (1, "It would be refused: x.\n"),
    ]
    assert services.asked[-1][4] == {"by": "anna", "dry_run": True}


def test_an_edited_copy_is_sent_with_its_headers(run: Run, services: Services, tmp_path: Path) -> None:
    services.router_says(f"/{ENTRY}/replay", entry("router", 1, entry=ENTRY, status="replaying"))
    (tmp_path / "mended").write_bytes(b"\xff{}")

    result = run(
        "replay",
        ENTRY,
        "--because",
        "mended",
        "--edited",
        str(tmp_path / "mended"),
        "--header",
        "a=b=c",
        "--header",
        "d",
    )

    body = services.asked[-1][4]
    services.router_says(f"/{ENTRY}/replay", entry("router", 1, proposal={"act": "replay", "by": "anna"}))
    proposed = run("replay", ENTRY, "--because", "mended", "--header", "d", "--wait")

    assert "somebody else must try the same copy too" in proposed.output
    assert proposed.output.startswith(f"{ENTRY}: proposed; ")
    assert result.output == f"{ENTRY}: replaying; `rogatory quarantine show {ENTRY}` tells what comes of it.\n"
    assert base64.b64decode(body["edited"]) == b"\xff{}"
    assert body["headers"] == {"a": "b=c", "d": None}


def test_many_are_replayed_by_a_filter_and_never_by_forgetting_one(run: Run, services: Services) -> None:
    for name in SERVICES:
        services.answers[name, "/replay"] = httpx.Response(200, json={"marked": 2, "more": name == "intake"})

    assert run("replay", "--because", "x").exit_code != 0
    assert run("replay", ENTRY, "--all", "--because", "x").exit_code != 0
    assert services.asked == []
    result = run("replay", "--reason", "not a letter", "--because", "mended")

    assert result.output.splitlines() == [
        "intake: 2 to be tried again; there are more: run it again.",
        "router: 2 to be tried again.",
        "notifier: 2 to be tried again.",
    ]
    assert services.asked[-1][4]["filter"] == {"reason": "not a letter"}


@pytest.mark.parametrize(
    ("became", "code", "says"),
    [
        ({"status": "replayed", "outcome": "taken"}, 0, "replayed, taken"),
        ({"status": "held", "reason": "no such case"}, 1, "held again: no such case"),
        ({"status": "held", "behind": "qua_1"}, 1, "held again: behind qua_1"),
    ],
)
def test_who_waits_is_told_what_came_of_it(
    run: Run, services: Services, monkeypatch: pytest.MonkeyPatch, became: dict[str, Any], code: int, says: str
) -> None:
    services.router_says(f"/{ENTRY}/replay", entry("router", 1, status="replaying"))
    services.router_says(f"/{ENTRY}", whole() | {"status": "replaying"})
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            services.router_says(f"/{ENTRY}", whole() | became)

    monkeypatch.setattr("time.sleep", wait)

    result = run("replay", ENTRY, "--because", "mended", "--wait")

    assert (result.exit_code, result.output, len(waited)) == (code, f"{ENTRY}: {says}.\n", 3)
    assert run("replay", "--all", "--because", "mended", "--wait").exit_code != 0


def test_one_command_marks_all_though_a_call_marks_some(run: Run, services: Services) -> None:
    pages: list[dict[str, Any]] = [
        {"marked": 10_000, "cut": 1, "refused": 0, "more": True, "next": "a"},
        {"marked": 7, "cut": 1, "refused": 0, "more": False},
    ]
    services.router_says("/replay", pages[0])
    services.then["router", "/replay"] = httpx.Response(200, json=pages[1])

    result = run("replay", "--all", "--because", "mended", "--service", "router")

    assert result.output.splitlines() == [
        "router: 10007 to be tried again.",
        "router: 2 left out, of which only the beginning is kept: send the whole of each with --edited.",
    ]
    assert [asked[4].get("after") for asked in services.asked] == [None, "a"]


@pytest.mark.parametrize(
    ("status", "detail", "says"),
    [
        (503, "not now", "The router answers 503: not now"),
        (422, "Is no place in an asking of the last hour: ask without it.", "That took more than an hour."),
        (401, "It has run out.", "The router does not take the token: It has run out."),
    ],
)
def test_what_was_marked_before_a_replay_of_many_broke_off_is_said_and_why(
    run: Run, services: Services, status: int, detail: str, says: str
) -> None:
    page = {"marked": 10_000, "cut": 0, "refused": 2, "more": True, "next": "a"}
    services.router_says("/replay", page)
    services.then["router", "/replay"] = httpx.Response(
        status, json={"detail": detail, "errors": [{"pointer": "/after", "detail": detail}] if status == 422 else []}
    )

    result = run("replay", "--all", "--because", "mended", "--service", "router")

    assert result.exit_code == 1
    told = result.output.splitlines()
    assert told[:2] == [
        "router: 10000 to be tried again; there are more: run it again.",
        "router: 2 stay held: `rogatory quarantine show` says why.",
    ]
    assert len(told) == 3
    assert told[2].startswith(says)


def test_a_dry_run_of_many_is_counted(run: Run, services: Services) -> None:
    counts = {"begin a letter": 3, "refused: not a letter": 1, "heard before": 1}
    for name in SERVICES:
        told = {"entries": [], "counts": counts if name == "intake" else {}, "cut": int(name == "router")}
        services.answers[name, "/replay"] = httpx.Response(200, json={**told, "more": False})

    assert run("replay", "--all", "--dry-run").output.splitlines() == [
        "intake: 3 would begin a letter.",
        "intake: 1 would be refused: not a letter.",
        "intake: 1 would stay as they are: heard before.",
        "router: 1 left out, of which only the beginning is kept: send the whole of each with --edited.",
        "notifier: nothing matches.",
    ]


def test_a_discard_that_needs_a_second_person_says_so(run: Run, services: Services) -> None:
    services.router_says(f"/{ENTRY}/discard", entry("router", 1, proposal={"act": "discard", "by": "anna"}))
    proposed = run("discard", ENTRY, "--because", "rubbish")
    services.router_says(f"/{ENTRY}/discard", {"detail": "Somebody else must confirm."}, 409)
    alone = run("discard", ENTRY, "--because", "rubbish", "--by", "Anna")
    services.router_says(f"/{ENTRY}/discard", entry("router", 1, status="discarded"))
    done = run("discard", ENTRY, "--because", "rubbish", "--by", "Bela")

    assert [one.exit_code for one in (proposed, alone, done)] == [0, 1, 0]
    assert proposed.output.startswith(f"{ENTRY}: proposed; ")
    assert "somebody else must discard it too" in proposed.output
    assert "Somebody else must confirm." in alone.output
    assert done.output == f"{ENTRY}: discarded.\n"


def test_an_export_is_a_new_file_that_only_its_owner_may_read(run: Run, services: Services, tmp_path: Path) -> None:
    services.answers["router", f"/{ENTRY}/export"] = httpx.Response(200, content=b"\x1b[2J")
    file = tmp_path / "entry.bin"

    first = run("export", ENTRY, str(file), "--because", "for the sender")
    again = run("export", ENTRY, str(file), "--because", "for the sender")

    assert (first.exit_code, file.read_bytes(), file.stat().st_mode & 0o777) == (0, b"\x1b[2J", 0o600)
    assert (again.exit_code != 0, "exists already" in str(again.exception)) == (True, True)
    assert services.asked[-1][3] == {"by": "anna", "reason": "for the sender"}


def test_an_export_says_for_programs_what_it_wrote(run: Run, services: Services, tmp_path: Path) -> None:
    services.answers["router", f"/{ENTRY}/export"] = httpx.Response(200, content=b"abc")
    file = tmp_path / "entry.bin"

    told = json.loads(run("export", ENTRY, str(file), "--because", "x", "--json").stdout)

    assert told == {"entry": ENTRY, "file": str(file), "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    assert run("export", ENTRY, "-", "--because", "x", "--json").exit_code != 0


def test_nothing_that_a_service_says_moves_the_cursor(run: Run, services: Services) -> None:
    evil = "\x1b[2Jevil\u202e\x9b"
    told = whole(masked=False)
    told["reason"] = told["topic"] = evil
    told["original"]["headers"] = [[evil, evil]]
    told["original"]["value"]["tree"] = {evil: evil}
    told["original"]["key"]["text"] = told["replay"]["says"] = told["original"]["timestamp"] = evil
    services.router_says(f"/{ENTRY}", told)
    page = {"entries": [entry("intake", 1, reason=evil)], "next": None}
    services.answers["intake", ""] = httpx.Response(200, json=page)

    for output in (run("show", ENTRY).output, run("list").output):
        assert "evil" in output
        assert all(char.isprintable() or char == "\n" for char in output)
