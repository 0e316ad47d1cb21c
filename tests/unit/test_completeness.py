"""What a letter lacks, which of its addresses and times lead to nobody, and what is marked for the desk."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.completeness import DEADLINE_WITHOUT_REASON, ORAL, defects, marks, missing
from shared.identifiers import NO_PORT, NO_TIME, NO_ZONE, TIME_WITHOUT_ZONE
from shared.letter import split_content
from shared.vocabulary import Channel

SAMPLES = Path(__file__).parents[2] / "samples"
ON = date(2026, 3, 10)


@dataclass(frozen=True)
class Required:
    """As the law gives it."""

    word: str
    need: str = "always"
    pointer: str | None = None
    basis: tuple[str, ...] = ("law 1",)

    @property
    def says(self) -> str:
        return f"the {self.word}"


@dataclass(frozen=True)
class Law:
    """A law that asks for these words, whatever the type."""

    words: tuple[Required, ...]

    def required(self, type: str, on: date) -> tuple[Required, ...]:
        assert (type, on) == ("testimony", ON)
        return self.words


def share(contents: Mapping[str, Any], **of_the_letter: Any) -> dict[str, Any]:
    return {"reference": "FR-1", "measure": {"type": "testimony", "contents": contents}, **of_the_letter}


def lacking(content: Mapping[str, Any], *words: Required) -> list[str]:
    return [one["field"] for one in missing(Law(words), "testimony", ON, content)]


def test_what_is_missing_is_said_with_the_articles_that_ask_for_it() -> None:
    law = Law((Required("facts"), Required("necessity", basis=("uncc 42(3)(e)", "law 2"))))

    assert missing(law, "testimony", ON, share({"facts": "Somebody logged in."})) == [
        {"field": "necessity", "says": "the necessity", "basis": ["uncc 42(3)(e)", "law 2"]}
    ]


@pytest.mark.parametrize("given", ["x", "文", "ع", "7", 0, 7, 0.0, False, True, ["", "x"], [0]])
def test_whatever_says_something_is_there(given: object) -> None:
    assert lacking(share({"facts": given}), Required("facts")) == []


@pytest.mark.parametrize("given", ["", " ", "\n\t ", "\u00a0\u200b", "-", "—", "...", "?", [], [""], ["-", " "], None])
def test_blanks_and_dashes_say_nothing(given: object) -> None:
    assert lacking(share({"facts": given}), Required("facts")) == ["facts"]


def test_a_word_may_stand_elsewhere_in_the_letter() -> None:
    officer = Required("officer", pointer="/contact/officer")

    assert lacking(share({}, contact={"officer": "Maud Vernier"}), officer) == []
    for content in (share({"officer": "in the wrong place"}), share({}, contact={}), share({}, contact="x")):
        assert lacking(content, officer) == ["officer"]
    assert lacking(share({}, contact={"phone": " "}), Required("contact", pointer="/contact")) == ["contact"]
    assert lacking(share({}, contact={"phone": "1"}), Required("contact", pointer="/contact")) == []


def test_what_is_needed_where_applicable_is_never_missing() -> None:
    assert lacking(share({}), Required("time_period", "where applicable")) == []


def test_one_word_can_make_another_unnecessary() -> None:
    either = (Required("warrant", "unless judgment"), Required("judgment", "unless warrant"))

    assert lacking(share({"judgment": "of 2026-02-10"}), *either) == []
    assert lacking(share({"judgment": " "}), *either) == ["warrant", "judgment"]
    assert lacking(share({}), Required("warrant", "unless order")) == ["warrant"]
    assert lacking(share({"order": "x"}), Required("warrant", "unless order")) == []


def test_a_word_that_stands_elsewhere_makes_another_unnecessary_too() -> None:
    words = (Required("caller", "unless officer"), Required("officer", "where applicable", "/contact/officer"))

    assert lacking(share({}, contact={"officer": "Maud Vernier"}), *words) == []
    assert lacking(share({"officer": "in the wrong place"}), *words) == ["caller"]


def found(**contents: Any) -> list[tuple[str, str]]:
    return [(one["field"], one["says"]) for one in defects(share(contents))]


COMPLETE = [
    "203.0.113.45:51822 at 2026-03-05T07:14:09Z",
    "203.0.113.45, port 51822, le 2026-03-05T07:14:09Z",
    "203.0.113.45, source port 443, 2026-03-05 07:14 UTC",
    "203.0.113.45 порт 443, 05.03.2026 в 07:14:09 (UTC+4)",
    "地址203.0.113.45,端口443,2026年3月5日07:14:09 +08:00",
    "203.0.113.45 51822 2026-03-05 07:14:09 +0000",
    "203.0.113.45 - - [05/Mar/2026:07:14:09 +0000] source 51822",
    "203[.]0[.]113[.]45:51822 20260305T071409Z",
    "203.0.113.45/51822, le 5 mars 2026 à 7h14 GMT",
    "On 5 March 2026 at 07:14:09 CET 203.0.113.45:51822 logged in.",
    "5 марта 2026 г. в 10:14 МСК, 203.0.113.45:51822",
    "[2001:db8::45]:51822, 2026-03-05T07:14:09.123+04:00",
    "2001:db8:0:0:0:0:0:45 port 51822 2026-03-05T07:14:09-03:30",
    "Between 2026-03-05 00:00 and 2026-03-05 23:59 UTC, 203.0.113.45:51822",
]


@pytest.mark.parametrize("text", COMPLETE)
def test_an_address_with_time_zone_and_port_has_no_defect(text: str) -> None:
    assert found(data=text) == []


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("203.0.113.45", [NO_TIME, NO_PORT]),
        ("the server 203.0.113.45.", [NO_TIME, NO_PORT]),
        ("2001:db8::45", [NO_TIME, NO_PORT]),
        ("地址203.0.113.45", [NO_TIME, NO_PORT]),
        ("203.0.113.45:51822", [NO_TIME]),
        ("203.0.113.45:51822, 2026-03-05", [NO_TIME]),
        ("203.0.113.45:51822, 2026-03-05 (+04:00)", [NO_TIME]),
        ("203.0.113.45:51822 at 14:05", [NO_TIME]),
        ("203.0.113.45:51822, 2026-03-05 07:14:09", [NO_ZONE]),
        ("203.0.113.45:51822 on 5 March 2026 at 7:14 PM", [NO_ZONE]),
        ("203.0.113.45, 2026-03-05 07:14:09", [NO_ZONE, NO_PORT]),
        ("203.0.113.45 at 2026-03-05T07:14:09Z", [NO_PORT]),
        ("203.0.113.45 / 2026-03-05T07:14:09Z", [NO_PORT]),
        ("203.0.113.45 at 2026-03-05T07:14:09Z, damage 12 500 EUR in the year 2025", [NO_PORT]),
        ("198.51.100.9:40112 and 203.0.113.45 at 2026-03-05T07:14:09Z", [NO_PORT]),
    ],
)
def test_what_an_address_lacks_is_named_and_the_address_is_not(text: str, lacks: list[str]) -> None:
    assert found(data=text) == [("data", says) for says in lacks]
    assert found(data=["something else", text]) == [("data", says) for says in lacks]


def test_an_address_has_what_it_needs_if_any_text_says_it() -> None:
    whole = "203.0.113.45:51822 at 2026-03-05T07:14:09Z"

    assert found(facts="He came from 203.0.113.45.", data=whole) == []
    assert found(data=whole, facts="He came from 203.0.113.45.") == []
    assert found(facts="203.0.113.45", data="203.0.113.45:51822") == [("facts", NO_TIME)]
    assert found(facts="He came from 203.0.113.46.", data=whole) == [("facts", NO_TIME), ("facts", NO_PORT)]


def test_the_same_defect_of_many_addresses_is_said_once() -> None:
    assert found(data="198.51.100.1, 198.51.100.2 and 198.51.100.1: 2026-03-05T07:14:09Z") == [("data", NO_PORT)]


@pytest.mark.parametrize(
    "text",
    [
        "version 1.2.3 of 10.03.2026",
        "v1.2.3.4 and 1.2.3.4.5 and 999.1.1.1 and 01.2.3.4",
        "the net 198.51.100.0/24 or 2001:db8::/32",
        "127.0.0.1, 0.0.0.0, 255.255.255.0, 224.0.0.1, ::1, fe80::1",
        "std::vector, dead::beef, 00:1A:2B:3C:4D:5E in 2026",
        "host.203.0.113.45.example.org",
        "SHA1 20:26:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb",
        "https://login.example.org:8443/az",
        "",
    ],
)
def test_what_only_looks_like_an_address_is_none(text: str) -> None:
    assert found(data=text) == []


@pytest.mark.parametrize(
    ("text", "has_defect"),
    [
        ("Последний вход отмечен 3 апреля 2026 года в 14:05, часовой пояс не указан.", True),
        ("le 5 mars 2026 à 14:05", True),
        ("2026-03-05T14:05:00", True),
        ("05.03.2026 14:05", True),
        ("2026-03-05T14:05Z, and on 6 March 2026 at 14:05", True),
        ("le 5 mars 2026 à 14:05 (heure UTC+1)", False),
        ("2026-06-18T09:30+02:00", False),
        ("2026-06-18 09:30-03:30", False),
        ("18 June 2026, 09:30 Europe/Madrid", False),
        ("Since about 20:00 an account has been streaming.", False),
        ("a hearing of 2 h 30 on 5 March 2026", False),
        ("the case 12:34/2026", False),
        ("scale 1:25 of 2026; 16:9", False),
        ("(+04:00) 2026", False),
        ("UTC-05:00 in 2026", False),
        ("hardware address 00:1a:2b:30:40:50 in 2026", False),
    ],
)
def test_a_time_of_a_certain_day_needs_a_zone(text: str, has_defect: bool) -> None:
    assert found(facts=text) == ([("facts", TIME_WITHOUT_ZONE)] if has_defect else [])


def test_the_zone_of_an_address_is_not_asked_for_twice() -> None:
    text = "203.0.113.45:51822, 2026-03-05 07:14:09"

    assert found(data=text, facts="2026-03-05 07:14") == [("data", NO_ZONE), ("facts", TIME_WITHOUT_ZONE)]


def test_what_is_no_text_is_not_looked_at() -> None:
    assert found(n=203, flag=True, list=[1, 2.5, "203.0.113.45"], empty=[]) == [("list", NO_TIME), ("list", NO_PORT)]


ADDRESSES = st.sampled_from(["203.0.113.45", "198.51.100.7", "2001:db8::45", "203[.]0[.]113[.]45"])
MOMENTS = st.integers(0, 2**31).map(lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat())
LETTERS_ONLY = st.text(st.characters(categories=["Lu", "Ll", "Lo"]), max_size=30).map(
    lambda text: re.sub(r"[時时点點分h]", "x", text, flags=re.IGNORECASE)
)


@given(ADDRESSES, LETTERS_ONLY, LETTERS_ONLY, LETTERS_ONLY, st.integers(1024, 65535), MOMENTS)
def test_no_words_around_a_whole_address_make_it_a_defect(
    address: str, before: str, between: str, after: str, port: int, at: str
) -> None:
    where = f"[{address}]" if ":" in address else address
    text = f"{before} {where}:{port} {between} {at} {after}"

    assert found(data=text) == []


@given(ADDRESSES, st.text(st.characters(categories=["Lo"]), max_size=30))
def test_no_words_around_a_lone_address_hide_it(address: str, around: str) -> None:
    assert found(data=f"{around} {address} {around}")[0] == ("data", NO_TIME)


@given(st.text(st.characters(categories=["L", "P", "Z", "S"])) | st.dates().map(str) | st.integers().map(str))
def test_texts_without_addresses_and_times_have_no_defect(text: str) -> None:
    assert found(data=text, list=[text, text]) == []


@given(st.text("0123456789.:/[]abhTZ+- \nportUTC"), st.text("0123456789.:"))
def test_any_text_can_be_read_and_none_of_it_comes_back(text: str, other: str) -> None:
    says = {NO_TIME, NO_ZONE, NO_PORT, TIME_WITHOUT_ZONE}

    assert {(field in ("a", "b"), one in says) for field, one in found(a=text, b=[other, text])} <= {(True, True)}


@pytest.mark.parametrize(
    "unit", ["1.", "203.0.113.5 ", "203.0.113.5 12:30 2026 ", "1:", "2abc:", "2001:db8::1 ", "1[.]"]
)
def test_a_letter_made_to_be_slow_is_read_all_the_same(unit: str) -> None:
    assert len(found(data=unit * (400_000 // len(unit)))) <= 3


SEEN = {
    "S03": [("facts", TIME_WITHOUT_ZONE)],
    "S04": [("subject", NO_TIME)],
    "S11": [("facts", NO_TIME), ("facts", NO_PORT)],
    "S15": [("information", NO_TIME), ("information", NO_PORT)],
}


@pytest.mark.parametrize("sample", [f"S{n:02}" for n in range(1, 16)])
def test_the_samples_have_the_defects_that_a_reader_sees(sample: str) -> None:
    sent = json.loads((SAMPLES / f"{sample}.json").read_bytes())
    shares = [split_content(sent, n) for n in range(1, len(sent["measures"]) + 1)]

    assert [(one["field"], one["says"]) for content in shares for one in defects(content)] == SEEN.get(sample, [])


@pytest.mark.parametrize("reason", [None, "", " ", "-"])
def test_a_deadline_without_a_reason_is_marked(reason: str | None) -> None:
    deadline = {"at": "2026-03-13T18:00:00+01:00", "reason": reason}

    assert marks(share({}, requested_deadline=deadline), Channel.POST) == [DEADLINE_WITHOUT_REASON]


def test_a_reasoned_deadline_and_a_reason_without_a_deadline_are_not_marked() -> None:
    reasoned = {"at": "2026-03-13T18:00:00+01:00", "reason": "The logs are overwritten."}

    for deadline in (reasoned, {"reason": "no day"}, {}, None):
        assert marks(share({}, requested_deadline=deadline), Channel.POST) == []


def test_what_was_asked_for_by_phone_waits_for_its_confirmation() -> None:
    marked = {channel: marks(share({}, urgency="emergency"), channel) for channel in Channel}

    assert [channel for channel, found in marked.items() if found == [ORAL]] == [Channel.PHONE]
