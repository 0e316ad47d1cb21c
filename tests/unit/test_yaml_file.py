"""A file is read strictly, and whatever is wrong with it is one sentence with file and line."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.failures import BadStart
from shared.yaml_file import MOST_BYTES, Day, Id, Strict, did_you_mean, read_yaml


class Garden(Strict):
    """A small schema for these tests."""

    title: str
    opened: Day
    beds: Mapping[Id, tuple[str, ...]] = {}
    size: int = 1


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "garden.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_every_scalar_is_text_until_the_schema_types_it(tmp_path: Path) -> None:
    tree = read_yaml(write(tmp_path, "a: NO\nb: 10:30\nc: 2026-02-23\nd: null\ne: [1.0, ~]\n")).tree

    assert tree == {"a": "NO", "b": "10:30", "c": "2026-02-23", "d": "null", "e": ["1.0", "~"]}


def test_the_schema_types_what_was_read(tmp_path: Path) -> None:
    file = read_yaml(write(tmp_path, "title: NO\nopened: 2026-02-23\nbeds: {roses: [red]}\nsize: 3\n"))

    garden = file.typed(Garden)

    assert (garden.title, garden.opened.isoformat(), garden.size) == ("NO", "2026-02-23", 3)
    assert garden.beds["roses"] == ("red",)


UNREADABLE: dict[str, tuple[str | bytes, str]] = {
    "equal keys": ("a: 1\nb: 2\na: 3\n", ":3: 'a' stands here for the second time (first on line 1)"),
    "an alias": ("a: &x [1]\nb: *x\n", ":1: anchors and aliases (& and *) are not allowed; write the value out"),
    "an anchor on a key": ("&x a: 1\n", ":1: anchors and aliases (& and *) are not allowed; write the value out"),
    "a tag": ("a: 1\nb: !!python/name:os.system x\n", ":2: tags (!) are not allowed; every value is read as text"),
    "a second document": ("a: 1\n---\nb: 2\n", ":2: a second document begins here; the file must hold one"),
    "a deep nest": ("a: " + "[" * 50 + "]" * 50, ":1: more than 20 levels of nesting"),
    "a nest without an end": ("a: " + "[" * 5000, ":1: this is not YAML: exceeded maximum nesting depth"),
    "a list as key": ("a: 1\n? [b]\n: 2\n", ":2: a key must be plain text"),
    "an unclosed bracket": ("a: 1\nb: [1, 2\n", ":3: this is not YAML: did not find expected ',' or ']'"),
    "a tab": ("a:\n\t- 1\n", ":2: this is not YAML: found character that cannot start any token"),
    "a control character": ("a: \x01\n", ":1: this is not YAML"),
    "an empty file": ("", ":1: the file is empty"),
    "Latin-1": (b"a: 1\nb: \xe4\n", ":2: the file is not UTF-8 text"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_not_strict_yaml_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    text, sentence = UNREADABLE[case]
    path = write(tmp_path, text)

    with pytest.raises(BadStart) as refusal:
        read_yaml(path)

    assert str(refusal.value) == f"{path}{sentence}"


HEAD = "title: x\nopened: 2026-02-23\n"
ILL_TYPED = {
    "an unknown key": (HEAD + "bedss: {}\n", ":3: 'bedss' is not a key here; did you mean 'beds'?"),
    "a missing key": ("title: x\n", ":1: 'opened' is missing"),
    "an impossible day": ("title: x\nopened: 2026-02-30\n", ":2: '2026-02-30' is no day of the calendar"),
    "day and month swapped": ("title: x\nopened: 23.02.2026\n", ":2: '23.02.2026' is no day of the calendar"),
    "seconds since 1970": ("title: x\nopened: 1700000000\n", ":2: '1700000000' is no day of the calendar"),
    "a list as day": ("title: x\nopened: [1]\n", ":2: this is no day of the calendar"),
    "text for a table": (HEAD + "beds: x\n", ":3: 'beds' must be a table of keys and values"),
    "text for a list": (HEAD + "beds:\n  roses: red\n", ":4: 'roses' must be a list"),
    "a list for text": ("title: [x]\nopened: 2026-02-23\n", ":1: 'title' must be text"),
    "a bad id": (HEAD + "beds:\n  Red Roses: []\n", ":4: 'Red Roses' must match ^[a-z][a-z0-9-]{0,39}$"),
    "a word for a number": (HEAD + "size: large\n", ":3: 'size' must be a whole number, not 'large'"),
    "a list for the whole": ("- title\n", ":1: the file must be a table of keys and values"),
    "text for the whole": ("title\n", ":1: the file must be a table of keys and values"),
}


@pytest.mark.parametrize("case", ILL_TYPED)
def test_what_the_schema_does_not_allow_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    text, sentence = ILL_TYPED[case]
    path = write(tmp_path, text)

    with pytest.raises(BadStart) as refusal:
        read_yaml(path).typed(Garden)

    assert str(refusal.value).startswith(f"{path}{sentence}")
    assert "\n" not in str(refusal.value)


def test_every_defect_is_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "sise: 3\ntitel: x\nopened: 2026-02-30\nbeds:\n  Red Roses: []\n  lawn: [[x], y]\nbird: y\n")

    with pytest.raises(BadStart) as refusal:
        read_yaml(path).typed(Garden)

    assert str(refusal.value).splitlines() == [
        f"{path}{said}"
        for said in (
            ":1: 'sise' is not a key here; did you mean 'size'?",
            ":2: 'titel' is not a key here; did you mean 'title'?",
            ":3: '2026-02-30' is no day of the calendar (write 2026-02-23)",
            ":5: 'Red Roses' must match ^[a-z][a-z0-9-]{0,39}$",
            ":6: 'lawn' must be text",
            ":7: 'bird' is not a key here",
        )
    ]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadStart, match=r"nowhere\.yaml: there is no such file$"):
        read_yaml(tmp_path / "nowhere.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadStart, match=r"the file cannot be read \(Is a directory\)$"):
        read_yaml(tmp_path)


def test_a_file_beyond_measure_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(BadStart, match=r"the file is larger than 1,000,000 bytes$"):
        read_yaml(write(tmp_path, b"#" * (MOST_BYTES + 1)))


def test_nothing_near_means_no_suggestion() -> None:
    assert did_you_mean("xyzzy", ["roses", "tulips"]) == ""
