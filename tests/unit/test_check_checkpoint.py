"""The page that an auditor runs says the same as our own code, and knows nothing of it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.checkpoints.checkpoint import Checkpoint, Leaf
from tests.unit.test_checkpoint import CHANGES, KEY, LEAVES, OTHER

SCRIPT = Path(__file__).parents[2] / "docs/examples/check_checkpoint.py"


def chained(count: int, leaves: Sequence[Leaf] = LEAVES) -> list[dict[str, Any]]:
    """Checkpoints of one instance, each with one leaf less."""
    made: list[Checkpoint] = []
    for number in range(1, count + 1):
        previous = made[-1].head.digest if made else None
        at = "2026-03-10T08:00:00.000000Z"
        made.append(
            Checkpoint.make(leaves, KEY, service="intake", instance="intake-é", number=number, previous=previous, at=at)
        )
    return [orjson.loads(orjson.dumps(one.data)) for one in made]


def checked(folder: Path, *checkpoints: Any, key: str = KEY.public.hex()) -> tuple[int, str]:
    """The exit code and what is printed of checkpoints in one file."""
    lines = [one if isinstance(one, bytes) else orjson.dumps(one) for one in checkpoints]
    (folder / "checkpoints.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    arguments = [sys.executable, "-I", str(SCRIPT), key, "checkpoints.jsonl"]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_it_imports_nothing_of_ours() -> None:
    imported = [line.split()[1] for line in SCRIPT.read_text().splitlines() if line.startswith(("import ", "from "))]

    assert {name.split(".")[0] for name in imported} == {"hashlib", "itertools", "json", "sys", "cryptography"}


def test_a_chain_of_checkpoints_holds_in_any_order_and_however_often_one_comes(tmp_path: Path) -> None:
    one, two, three = chained(3)

    code, said = checked(tmp_path, three, one, two, one)

    assert code == 0
    assert said.splitlines() == [
        "intake/intake-é: numbers 1 to 3, up to 2026-03-10T08:00:00.000000Z",
        "All of them hold.",
    ]


def test_checkpoints_may_stand_in_several_files_and_on_several_lines(tmp_path: Path) -> None:
    for number, one in enumerate(chained(2)):
        (tmp_path / f"{number}.json").write_bytes(orjson.dumps(one, option=orjson.OPT_INDENT_2))

    files = [tmp_path / "0.json", tmp_path / "1.json"]
    done = subprocess.run([sys.executable, SCRIPT, KEY.public.hex(), *files], capture_output=True, timeout=60)

    assert done.returncode == 0


@pytest.mark.parametrize("change", CHANGES)
def test_it_finds_every_change(change: str, tmp_path: Path) -> None:
    first, second, third = chained(3)
    CHANGES[change](second)

    code, said = checked(tmp_path, first, second, third)

    assert code == 1
    assert said.splitlines()[-1] == "Something is wrong."


OTHERS = [orjson.loads(orjson.dumps(one)) for one in chained(2, LEAVES[2:])]
WRONG: dict[str, Any] = {
    "one is missing": lambda one, two, three: (one, three),
    "two have one number": lambda one, two, three: (one, two, OTHERS[1]),
    "one follows another": lambda one, two, three: (OTHERS[0], two),
    "what is no checkpoint": lambda one, two, three: (one, b"[1]"),
    "what is no JSON": lambda one, two, three: (one, b"{"),
}


@pytest.mark.parametrize("what", WRONG)
def test_it_says_what_is_wrong_with_a_row(what: str, tmp_path: Path) -> None:
    code, said = checked(tmp_path, *WRONG[what](*chained(3)))

    assert code == 1
    assert len(said.splitlines()) == 3, said


def test_another_key_is_another_signature(tmp_path: Path) -> None:
    code, said = checked(tmp_path, *chained(1), key=OTHER.public.hex())

    assert (code, "signature is not by this key" in said) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["00"], ["no key", "a.json"], [KEY.public.hex()]])
def test_wrong_use_is_answered_by_how_to_use_it(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=60)

    assert (done.returncode, "PUBLIC_KEY FILE" in done.stderr) == (2, True)
