"""`rogatory case` tells what the router says: each clock under its own kind, and one sentence for every failure."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from cli import case_router
from cli.case import case as app
from cli.case_router import Router, find_router
from cli.case_story import told
from cli.case_table import next_clock
from cli.telling import KINDS, moment, plain, span, words
from deploy.local.stack import DATA, OWN
from services.router.views import content_of, story, view
from shared.failures import BadStart
from shared.times import text_of
from tests.unit.cases import DESK, SERVICE, START, Case, rules

Answers = Callable[[httpx.Request], httpx.Response]
SIMULATED = "2026-03-20T08:00:00.000000Z"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (case_router.URL, case_router.TOKEN, case_router.TOKEN_FILE):
        monkeypatch.delenv(name, raising=False)


def seen(case: Case, caller: str = SERVICE) -> dict[str, Any]:
    """A case as the router's own functions show it."""
    found = view(case.record.id, case.state, caller, case.now, case.by)
    found.story = story(case.history, caller, case.state["lane"])
    found.content = content_of(case.history, caller, case.record)
    return found.model_dump(mode="json")


def text(case: Case, caller: str = SERVICE, simulated: str | None = None) -> str:
    """What is told of it."""
    return "\n".join(told(seen(case, caller), simulated))


def flat(case: Case, caller: str = SERVICE) -> str:
    """The same without its line breaks."""
    return " ".join(text(case, caller).split())


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command against a router that answers so."""

    def run(answers: Answers, *arguments: str) -> Result:
        def router(url: str, token: str) -> Router:
            return Router(url, token, httpx.MockTransport(answers))

        monkeypatch.setattr(case_router, "find_router", lambda *_: ("http://router", "a token"))
        monkeypatch.setattr("cli.case._router", lambda *_: router("http://router", "a token"))
        return CliRunner().invoke(app, list(arguments))

    return run


def answering(status: int, body: Mapping[str, Any] | str, **headers: str) -> Answers:
    content = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request: httpx.Response(status, text=content, headers=named)


def test_a_case_says_how_it_stands_and_why() -> None:
    case = Case.open("extradition", reference="FR-4711")

    lines = text(case, "justice-ministry").splitlines()

    assert lines[0] == f"{case.record.id}: extradition, incoming, from FR by 24/7"
    assert "  status       received, with justice-ministry" in lines
    assert "  reference    FR-4711" in lines
    assert f"  because      {case.state['because']}" in lines
    assert any(line.startswith("  legal basis  passed: ") for line in lines)


def test_each_clock_is_told_under_its_own_kind_and_a_policy_is_never_the_laws() -> None:
    deadline = {"requested_deadline": {"at": text_of(START + timedelta(days=3)), "reason": "a hearing"}}
    case = Case.open("data_preservation", urgency="urgent", content=deadline)
    case.told("preserved", preserved_from=text_of(START))

    clocks = [line.strip() for line in text(case).splitlines() if ": due " in line or ": stopped " in line]

    kinds = [clock.split(":")[0] for clock in clocks]
    assert kinds == sorted(kinds, key=[f"{kind}, {whose}" for kind, whose in KINDS.items()].index)
    assert {clock["kind"] for clock in case.state["clocks"]} == {"statutory", "requested", "policy"}
    assert any(kind == "policy, ours, not the law's" for kind in kinds)
    [law] = [clock for clock in seen(case)["clocks"] if clock["kind"] == "statutory"]
    wanted = f"statutory, the law's: {words(law['clock'])}: due {moment(law['due'])}, {span(law['left_seconds'])} left"
    assert any(line.startswith(wanted) for line in clocks)


def test_what_was_missed_says_by_how_much_and_what_came_late_how_late() -> None:
    case = Case.open("stored_data_access").passes(days=4)
    assert "MISSED, it was due" in text(case)
    assert "ago" in flat(case)

    case.told("acknowledged", number="7")

    assert "late (" in flat(case)


def test_time_in_which_the_sender_was_waited_for_is_told_apart() -> None:
    case = Case.open("stored_data_access").passes(days=1).told("supplement_requested", text="Say more").passes(days=2)

    lines = text(case).splitlines()

    assert any("  received     2026-03-10 08:00:00Z, 3 days ago" in line for line in lines)
    assert "  net          1 day: the other State was waited for during 2 days" in lines
    assert not any(line.startswith("  net ") for line in text(Case.open()).splitlines())


def test_what_is_missing_is_told_with_its_article() -> None:
    case = Case.open("stored_data_access", contents={"offence": "Fraud"})

    lacking = case.state["missing"][0]

    section = flat(case).partition("Missing ")[2]
    assert f"{lacking['field'].replace('_', ' ')}: {lacking['says']} ({', '.join(lacking['basis'])})" in section


def test_the_story_says_when_who_what_and_why() -> None:
    case = Case.open("stored_data_access")
    case.told("acknowledged", number="7", officer="A. Person").passes(days=3)
    case.told("consultation_opened", about=["refusal"], text="Why is this needed?")

    lines = text(case).splitlines()
    at = lines.index("What happened")
    happened = " ".join(" ".join(lines[at:]).split())

    assert "2026-03-10 08:00:00Z intake " in happened
    assert f"Given to {SERVICE}: " in happened
    assert "The case has arrived, under its holder's own number. number: 7 officer: A. Person" in happened
    assert " ... 3 days later " in happened
    assert "The other State is consulted. about: refusal text: Why is this needed?" in happened


def test_a_rejection_is_told_with_its_rule_and_what_was_allowed() -> None:
    case = Case.open("stored_data_access")
    case.told("refused", grounds=["essential_interests"], reasons="Because")

    assert (
        "'refused' was REJECTED by the rule 'consulted-first': The other State is consulted before a refusal or a "
        "postponement. (uncc 40(28), uncc 37(17))" in flat(case)
    )
    assert "Allowed then: acknowledged, check begun," in flat(case)


def test_a_move_is_told_by_whom_it_went_and_where_to() -> None:
    case = Case.open("stored_data_access").told("misdirected", reason="Not ours")

    told_to_the_desk = flat(case, DESK)

    assert f"{SERVICE} has it no longer; it goes to {DESK}." in told_to_the_desk
    assert f"Given to {DESK}: " in told_to_the_desk


def test_a_warning_says_how_much_is_left_of_whose_clock() -> None:
    case = Case.open("data_preservation", urgency="urgent").told("preserved", preserved_from=text_of(START))

    case.passes(days=59)

    [law] = [clock for clock in case.state["clocks"] if clock["kind"] == "statutory"]
    told_so = f"7 days left of '{words(law['clock'])}' (statutory, the law's), due {moment(law['due'])}."
    assert told_so in flat(case)


def test_what_can_be_done_now_is_said_and_nothing_where_nothing_can() -> None:
    assert "Could be done now" in text(Case.open())
    assert "Could be done now" not in text(Case.open(), "justice-ministry")


def test_the_desk_is_not_shown_what_was_not_sent_to_it() -> None:
    assert "What is asked" in text(Case.open())
    assert "What is asked" not in text(Case.open(), DESK)


def test_simulated_times_are_marked() -> None:
    lines = text(Case.open(), SERVICE, SIMULATED).splitlines()

    assert lines[0] == "* SIMULATED TIME, now 2026-03-20 08:00:00Z: nothing here is meant in earnest."
    assert any("2026-03-10 08:00:00Z*" in line for line in lines)
    assert "*" not in text(Case.open())


def test_a_strangers_text_moves_no_cursor() -> None:
    case = Case.open("stored_data_access", contents={"facts": "one\n\x1b[2Jtwo\u202e"})

    assert "facts: one [2Jtwo" in text(case)
    assert "\x1b" not in text(case)
    assert plain("a\r\nb") == "a b"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_661, "1 h 1 min"),
        (86_400, "1 day"),
        (2 * 86_400 + 7_200, "2 days 2 h"),
        (-90, "1 min 30 s"),
    ],
)
def test_a_span_has_its_two_largest_parts(seconds: int, words: str) -> None:
    assert span(seconds) == words


def test_show_prints_the_routers_answer_as_it_is(ask: Callable[..., Result]) -> None:
    whole = seen(Case.open())

    said = ask(answering(200, whole, rogatory_simulated_time=SIMULATED), "show", whole["case"], "--json")

    assert json.loads(said.stdout) == {**whole, "simulated_time": SIMULATED}
    plainly = ask(answering(200, whole), "show", whole["case"])
    assert (plainly.exit_code, plainly.stdout.splitlines()[0].split(":")[0]) == (0, whole["case"])


def pages(*sizes: int) -> Answers:
    """Pages of cases, and what was asked for each."""
    one = seen(Case.open(), DESK) | {"story": [], "content": None}

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("after", "0"))
        following = str(number + 1) if number + 1 < len(sizes) else None
        return httpx.Response(200, json={"cases": [one] * sizes[number], "next": following})

    return answer


def test_list_reads_all_pages_or_as_many_as_are_wanted(ask: Callable[..., Result]) -> None:
    all_of_them = json.loads(ask(pages(3, 2), "list", "--json").stdout)
    few = json.loads(ask(pages(3, 2), "list", "--json", "--limit", "4").stdout)

    assert (len(all_of_them["cases"]), all_of_them["more"]) == (5, False)
    assert (len(few["cases"]), few["more"]) == (4, True)
    assert ask(pages(3, 2), "list").stdout.splitlines()[-1] == "5 cases."
    assert ask(pages(3, 2), "list", "--limit", "1").stdout.splitlines()[-1] == "1 case; there are more."
    assert ask(pages(0), "list").stdout == "No case matches.\n"


def test_list_asks_for_what_it_was_told(ask: Callable[..., Result]) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"cases": [], "next": None})

    filters = ["--status", "triage", "--overdue", "--type", "asset_freeze", "--party", "FR", "--reference", "FR 1/2"]
    ask(answer, "list", *filters, "--authority", DESK)
    ask(answer, "list")

    assert dict(asked[0].url.params) == {
        "status": "triage",
        "overdue": "true",
        "type": "asset_freeze",
        "party": "FR",
        "reference": "FR 1/2",
        "authority": DESK,
    }
    assert asked[0].headers["authorization"] == "Bearer a token"
    assert dict(asked[1].url.params) == {}


def test_a_row_names_the_next_clock_by_its_kind_and_what_was_missed_before_it(ask: Callable[..., Result]) -> None:
    case = Case.open("stored_data_access")
    before = str(next_clock(seen(case)))
    case.passes(days=4)

    assert ", ours, not the law's" in before
    assert "OVERDUE" in str(next_clock(seen(case)))
    row = ask(answering(200, {"cases": [seen(case)], "next": None}), "list").stdout
    assert case.record.id in row
    assert "stored data access" in row
    assert "OVERDUE" in row
    case.told("executed", text="Done")
    assert str(next_clock(seen(case))) == "", "what has ended is overdue no more"


@pytest.mark.parametrize(
    ("status", "body", "exit_code", "sentence"),
    [
        (404, {"status": 404, "detail": "?"}, 1, "There is no case 'cas_1' for this token.\n"),
        (401, {"detail": "The token has expired."}, 2, "The router does not take the token: The token has expired.\n"),
        (503, {"detail": "Later."}, 1, "The router answers 503: Later.\n"),
        (200, "<html>", 1, "What answers at http://router is no router of ours (200).\n"),
        (
            422,
            {"errors": [{"pointer": "/query/status", "detail": "Is not a known status."}]},
            2,
            "--status: Is not a known status.\n",
        ),
    ],
)
def test_what_the_router_refuses_is_one_sentence(
    ask: Callable[..., Result], status: int, body: Mapping[str, Any] | str, exit_code: int, sentence: str
) -> None:
    said = ask(answering(status, body), "show", "cas_1")

    assert (said.exit_code, said.stderr, said.stdout) == (exit_code, sentence, "")


def test_a_router_that_is_away_is_one_sentence(ask: Callable[..., Result]) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    said = ask(away, "list")

    assert said.exit_code == 1
    assert said.stderr == "The router does not answer at http://router (ConnectError): does it run?\n"


def stack(folder: Path) -> Path:
    """What the local stack leaves in its folder."""
    (folder / "environment").mkdir(parents=True)
    (folder / "environment" / "router.env").write_text("ROGATORY_HOST=127.0.0.1\nROGATORY_PORT=8012\nX='a b'\n")
    (folder / "tokens" / "authorities").mkdir(parents=True)
    (folder / "tokens" / "authorities" / "desk.jwt").write_text("of the desk\n")
    return folder


def test_the_router_is_found_as_told_then_by_the_environment_then_in_the_local_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_router, "FOLDERS", (tmp_path / "none", stack(tmp_path / "data")))

    assert find_router(None, None, None) == ("http://127.0.0.1:8012", "of the desk")
    assert find_router("https://a.example", "t", None) == ("https://a.example", "t")
    assert find_router(None, "t", None) == ("http://127.0.0.1:8012", "t")
    monkeypatch.setenv(case_router.URL, "http://b.example")
    (tmp_path / "token").write_text("in a file\n")
    monkeypatch.setenv(case_router.TOKEN_FILE, str(tmp_path / "token"))
    assert find_router(None, None, None) == ("http://b.example", "in a file")
    monkeypatch.setenv(case_router.TOKEN, "in the environment")
    assert find_router(None, None, None) == ("http://b.example", "in the environment")


def test_the_local_stacks_token_goes_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_router, "FOLDERS", (stack(tmp_path / "data"),))

    with pytest.raises(BadStart, match="needs a token"):
        find_router("https://elsewhere.example", None, None)


def test_without_a_router_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_router, "FOLDERS", (tmp_path,))

    said = CliRunner().invoke(app, ["list"])

    assert said.exit_code == 2
    assert said.stderr.startswith("no router is known: start one with `rogatory up`")
    with pytest.raises(BadStart, match="is like http"):
        find_router("router", "t", None)


def test_the_local_stacks_folders_are_those_of_the_stack() -> None:
    assert (DATA, OWN) == case_router.FOLDERS


def test_every_status_and_update_can_be_told() -> None:
    """Nothing that the life cycle knows breaks the telling."""
    for status in rules().life.statuses:
        assert status.replace("_", " ") in text(Case.open(status=status))
