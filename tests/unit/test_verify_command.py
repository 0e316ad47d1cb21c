"""`rogatory verify`: how it is asked, and what it says and returns."""

import errno
import json
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from cli import verify as command
from cli.__main__ import app, main
from deploy.local.deployment import Deployment as Local
from shared.failures import BadStart, TryAgain
from verify.command import settings_from
from verify.deployment import Deployment
from verify.findings import Finding, Kind, Report, Tally
from verify.settings import servers_in
from verify.telling import sentences

RUNNER = CliRunner()


def report(*findings: Finding, **counts: int) -> Report:
    tally = Tally(Counter(counts))
    tally.found(findings)
    return Report(tally)


def answering(monkeypatch: pytest.MonkeyPatch, told: Report) -> list[dict[str, Any]]:
    """What the command asked for."""
    asked: list[dict[str, Any]] = []

    def run(_environment: Any, **options: Any) -> Report:
        asked.append(options)
        return told

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setenv("ROGATORY_MONGO", "mongodb://127.0.0.1:1")
    return asked


def test_it_says_in_one_line_that_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, report(letters=3, cases=4, events=20, beyond_retention=2))

    done = RUNNER.invoke(app, ["verify", "--since", "2026-11-24T16:00+04:00"])

    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "verified: nothing is wrong (7 records, 20 events, 0 on topics)."
    assert "2 events lie before what the topics still hold" in done.stdout
    assert asked[0]["since"].isoformat() == "2026-11-24T16:00:00+04:00"


def test_of_each_kind_twenty_are_shown_and_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Finding(Kind.LOST, f"cas_{n}", "event 1", "some.topic") for n in range(50)]
    answering(monkeypatch, report(*many, Finding(Kind.CHAIN, "let_1", "the chain breaks at event 2")))

    done = RUNNER.invoke(app, ["verify"])

    assert done.exit_code == 1
    assert done.stdout.count("cas_") == 20
    assert "lost: 50. An event that was sent does not stand on its topic." in done.stdout
    assert "  and 30 more" in done.stdout
    assert "  let_1: the chain breaks at event 2" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("verified: 51 things are wrong")


def test_programs_get_json(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, report(Finding(Kind.LOST, "cas_1", "event 1", "some.topic"), letters=1, erased=4))

    done = RUNNER.invoke(app, ["verify", "--json"])

    said = json.loads(done.stdout)
    assert (done.exit_code, said["verdict"], said["erased"], said["cannot_tell"]) == (1, "failed", 4, 0)
    assert said["findings"] == [{"kind": "lost", "record": "cas_1", "topic": "some.topic", "detail": "event 1"}]
    assert (said["counts"], said["numbers"]) == ({"letters": 1}, {"lost": 1})


def test_what_is_logged_is_one_line_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, report(Finding(Kind.LOST, "cas_1", "event 1", "some.topic"), letters=1))

    done = RUNNER.invoke(app, ["verify", "--json"])

    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("has_folder", [True, False])
def test_a_server_that_is_away_is_waited_for_and_the_state_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_folder: bool
) -> None:
    folders = []

    def verified(_environment: Any, _asked: Any, state: Path, _told: Any) -> Report:
        folders.append(state)
        (state / "row").touch()
        if len(folders) < 3:
            raise TryAgain("Kafka: gone")
        return report()

    monkeypatch.setattr("verify.command.verified", verified)
    monkeypatch.setattr(command, "PAUSE", 0.0)
    monkeypatch.setenv("ROGATORY_MONGO", "mongodb://127.0.0.1:1")
    state = ["--state", str(tmp_path)] if has_folder else []

    impatient = RUNNER.invoke(app, ["verify", *state])
    folders.clear()
    done = RUNNER.invoke(app, ["verify", "--wait", "5", *state])

    assert isinstance(impatient.exception, BadStart)
    assert ("go on with --state" in str(impatient.exception)) is has_folder
    assert (done.exit_code, len(folders), len(set(folders))) == (0, 3, 1)
    assert folders[0].exists() is has_folder


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--since", "yesterday"], "--since takes a time with its zone"),
        (["--since", "2026-11-24T16:00"], "--since takes a time with its zone"),
        (["--only", "letters,spoons"], "not spoons"),
        (["--data", "/nowhere"], "holds no settings of a local stack"),
    ],
)
def test_wrong_use_is_one_sentence(monkeypatch: pytest.MonkeyPatch, options: list[str], says: str) -> None:
    monkeypatch.setenv("ROGATORY_MONGO", "mongodb://127.0.0.1:1")

    done = RUNNER.invoke(app, ["verify", *options])

    assert isinstance(done.exception, BadStart)
    assert says in str(done.exception)


def test_wrong_settings_are_named_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "not-a-key-but-secret"
    for name, value in (("MONGO", "mongodb://127.0.0.1:1"), ("KAFKA", "127.0.0.1:1"), ("ID_KEY", secret)):
        monkeypatch.setenv(f"ROGATORY_{name}", value)

    done = RUNNER.invoke(app, ["verify"])

    assert "ROGATORY_ID_KEY is wrong" in str(done.exception)
    assert secret not in str(done.exception)


def test_totals_are_put_right_in_somebodys_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def mended(_environment: Any, by: str) -> dict[str, dict[str, tuple[int, int]]]:
        asked.append(by)
        return {"cases": {"case/open": (7, 8)}}

    monkeypatch.setattr("verify.command.mended", mended)
    monkeypatch.setenv("ROGATORY_MONGO", "mongodb://127.0.0.1:1")

    done = RUNNER.invoke(app, ["verify", "--mend-totals", "--by", "Maud Vernier"])
    nobodys = RUNNER.invoke(app, ["verify", "--mend-totals"])

    assert (done.exit_code, asked) == (0, ["Maud Vernier"])
    assert done.stdout == "cases: case/open was 7, and is 8 now\nPut right by Maud Vernier.\n"
    assert "who puts the totals right?" in str(nobodys.exception)


@pytest.mark.parametrize(
    "option", [["--only", "letters"], ["--since", "2026-11-24T16:00+04:00"], ["--state", "f"], ["--wait", "5"]]
)
def test_what_does_not_go_with_mending_is_refused_and_nothing_is_mended(
    monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    monkeypatch.setattr("verify.command.mended", Mock(side_effect=AssertionError("mended")))
    monkeypatch.setenv("ROGATORY_MONGO", "mongodb://127.0.0.1:1")

    done = RUNNER.invoke(app, ["verify", "--mend-totals", "--by", "Maud Vernier", *option])

    assert isinstance(done.exception, BadStart)
    assert str(done.exception).endswith(f"leave out {option[0]}")


@pytest.mark.parametrize("what", ["no folder", "full"])
def test_where_the_machine_cannot_it_is_one_sentence_and_not_a_no(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    told = Local.prepare(tmp_path / "local").settings("127.0.0.1:1", "mongodb://127.0.0.1:1", "http://127.0.0.1:1")
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "state" if what == "no folder" else tmp_path
    if what == "full":
        full = OSError(errno.ENOSPC, "No space left on device")
        monkeypatch.setattr("verify.command.Shards", Mock(side_effect=full))
    monkeypatch.setattr("sys.argv", ["rogatory", "verify", "--state", str(folder)])

    with pytest.raises(SystemExit) as ended:
        main()

    says = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2
    assert says.startswith("the machine does not let it: ")
    assert ("Not a directory" if what == "no folder" else "No space left on device") in says


def test_it_says_what_it_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = {"kafka": "kafka-0:9092,kafka-1:9092", "mongo": "mongo-0:27017", "database": "rogatory"}
    answering(monkeypatch, Report(Tally(), of=servers))

    done, for_programs = RUNNER.invoke(app, ["verify"]), RUNNER.invoke(app, ["verify", "--json"])

    first = "Kafka at kafka-0:9092,kafka-1:9092, the database rogatory of MongoDB at mongo-0:27017."
    assert done.stdout.splitlines()[0] == first
    assert json.loads(for_programs.stdout)["of"] == servers


@pytest.mark.parametrize(
    ("address", "servers"),
    [
        ("mongodb://mongo-0:27017,mongo-1:27017/?replicaSet=rs", "mongo-0:27017,mongo-1:27017"),
        ("mongodb://me:secret@mongo-0:27017/admin?tls=true", "mongo-0:27017"),
        ("mongodb://me:sec@ret/secret?secret@mongo-0", "mongo-0"),
        ("mongodb+srv://me:secret@mongo.example", "mongo.example"),
        ("kafka-0:9092,kafka-1:9092", "kafka-0:9092,kafka-1:9092"),
        ("me:secret@kafka-0:9092", "kafka-0:9092"),
    ],
)
def test_of_an_address_only_the_servers_are_shown(address: str, servers: str) -> None:
    assert servers_in(address) == servers


def test_a_deployment_is_told_of_without_credentials(tmp_path: Path) -> None:
    mongo = "mongodb://me:secret@127.0.0.1:1/?replicaSet=rs"
    told = Local.prepare(tmp_path).settings("127.0.0.1:2", mongo, "http://127.0.0.1:1")

    servers = Deployment.of(settings_from(told)).servers

    assert servers == {"kafka": "127.0.0.1:2", "mongo": "127.0.0.1:1", "database": told["ROGATORY_DATABASE"]}


def test_every_kind_has_its_sentence_and_none_is_said_of_nothing() -> None:
    told = [Finding(kind, "let_1", "-") for kind in Kind]

    assert all(len(line.partition(". ")[2]) > 10 for line in sentences(report(*told)) if line.count(": 1. "))


def test_a_folder_of_the_local_stack_tells_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "router.env").write_text("ROGATORY_MONGO='mongodb://a b'\nROGATORY_KAFKA=h:1\n")

    found = command.settings_of(tmp_path)

    assert (found["ROGATORY_MONGO"], found["ROGATORY_KAFKA"]) == ("mongodb://a b", "h:1")
