"""What people read: every word in every language, whose deadline it is, nothing but what a notice may carry."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.channels import Shown
from services.notifier.channels.rendering import SHOWN, TITLE, Rendering
from services.notifier.channels.wording import FOLDER, LANGUAGES, Wording, WordsOfMail, one_line
from shared import events
from shared.clocks import DUE
from shared.law import load_law
from shared.vocabulary import DESK, Direction, Urgency
from tests.unit.parcels import CASE, EMERGENCY, LAW, LINK, MISSED, ROOT, WORDING, parcel, shown

RENDERING = Rendering(WORDING)
KINDS_OF_CLOCKS = ("statutory", "requested", "policy")
DUE_AT = "2026-03-10T20:00:00.000000Z"
EACH = pytest.mark.parametrize("language", LANGUAGES)


# Every language has every word


@EACH
def test_every_type_clock_authority_and_step_of_the_law_has_a_name(language: str) -> None:
    its = WORDING.of(language)
    unnamed = {
        *(code for code in LAW.text.request_types if its.type(code) == code),
        *(code for code in (*LAW.text.authorities, DESK) if its.authority(code) == code),
        *(code for code, clock in LAW.text.clocks.items() if its.clock(code) in (code, clock.says)),
    }
    steps = {DUE, *(warn for clock in LAW.text.clocks.values() for span in clock.versions for warn in span.warn)}

    assert unnamed == set()
    assert all(its.step(step) for step in steps)
    if language != "en":
        english = WORDING.of("en")
        titles = {code for code in LAW.text.request_types if its.type(code) == english.type(code)}
        assert titles <= {"extradition"}
        assert not [step for step in steps if its.step(step) == english.step(step)]


@EACH
def test_everything_that_can_happen_has_a_name(language: str) -> None:
    named, its = WORDING.of(language).words, WORDING.of(language)
    of_clocks = (events.CASE_CLOCK_WARNED, events.CASE_CLOCK_MISSED)
    kinds = {f"{event}.{kind}" for event in of_clocks for kind in KINDS_OF_CLOCKS}

    assert set(named.events) == (set(events.CASE_TYPES) - set(of_clocks)) | kinds
    assert set(named.kinds) == set(events.KINDS)
    assert set(named.directions) == set(Direction)
    assert set(named.urgencies) == set(Urgency)
    assert all(its.happened({"event": event, "clock_kind": "policy"}) != event for event in events.CASE_TYPES)


@pytest.mark.parametrize("name", ["events", "kinds", "clocks", "directions", "urgencies", "severities"])
def test_no_language_names_what_another_does_not(name: str) -> None:
    keys = [set(getattr(WORDING.of(language).words, name)) for language in LANGUAGES]

    assert all(one == keys[0] for one in keys)


@pytest.mark.parametrize("name", ["types", "authorities"])
def test_a_language_names_nothing_that_the_law_does_not_have(name: str) -> None:
    known = {"types": set(LAW.text.request_types), "authorities": {*LAW.text.authorities, DESK}}[name]

    assert all(set(getattr(WORDING.of(language).words, name)) <= known for language in LANGUAGES)


@pytest.mark.parametrize("sentence", [name for name in WordsOfMail.model_fields if name.startswith("digest")])
def test_a_sentence_with_a_number_has_its_place_in_every_language(sentence: str) -> None:
    said = [getattr(WORDING.of(language).words, sentence) for language in LANGUAGES]

    assert {"{count}" in one for one in said} == {"{count}" in said[0]}


@EACH
def test_nothing_was_left_in_english(language: str) -> None:
    """Cyrillic in Russian, and hardly a word the same as in English elsewhere."""
    if language == "en":
        return
    same = {
        "Type",
        "Service",
        "Date",
        "Extradition",
        "extradition",
        "incoming",
        "normal",
        "urgent",
        "information",
        "URGENT",
    }
    ours, english = (yaml.safe_load((FOLDER / f"words.{one}.yaml").read_text()) for one in (language, "en"))
    words, in_english = dict(_leaves(ours)), dict(_leaves(english))
    kept = {place: word for place, word in words.items() if in_english.get(place) == word and word not in same}

    assert {
        place for place in kept if place not in ("language", "thousands", "spans.minute.0", "spans.minute.1")
    } == set()
    if language == "ru":
        assert all(re.search("[а-яё]", word, re.IGNORECASE) for place, word in words.items() if len(word) > 2)


def _leaves(tree: object, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, str):
        yield place, tree
    elif isinstance(tree, dict):
        for name, below in tree.items():
            yield from _leaves(below, f"{place}.{name}".lstrip("."))
    elif isinstance(tree, list):
        for number, below in enumerate(tree):
            yield from _leaves(below, f"{place}.{number}")


def test_another_states_law_has_its_own_names_in_english_and_its_codes_where_there_are_none() -> None:
    law = load_law(ROOT / "laws/zedland.yaml")
    russian = Wording(law, ZoneInfo("UTC")).of("ru")

    assert all(russian.type(code) != "" for code in law.text.request_types)
    assert all(russian.authority(code) == one.name for code, one in law.text.authorities.items())
    assert russian.type("no_such_type") == "no_such_type"


def test_who_reads_no_language_of_ours_reads_english() -> None:
    assert WORDING.of("xx").words.language == "en"


# What is said, and what is not


@EACH
def test_a_notice_says_what_it_may_and_nothing_else(language: str) -> None:
    marked = {"name": "Marked Person", "address": "marked@person.example"}
    notice = shown(MISSED | {"unheard_of": "marked fact"}, "A deadline has passed.", due=DUE_AT, never_held=True)
    told = Shown(notice.notice, notice.says, {**notice.data, **marked}, notice.raised_at, notice.link)

    mail = RENDERING.mail(parcel(told, language=language))

    its, page = WORDING.of(language), WORDING.of(language).page
    for part in (mail.text, _text_of(mail.html)):
        for said in (
            its.words.marks.must_not_wait,
            "A deadline has passed.",
            its.type("data_preservation"),
            its.authority("security-service"),
            its.clock("kept-60-days"),
            page.clock_kinds.statutory,
            CASE,
            its.words.open,
            its.words.privacy,
        ):
            assert said in part
        assert "2026-03-11 00:00 (Asia/Baku, UTC+04:00)" in part.replace("\u00a0", " ")
        assert "arked" not in part
    assert LINK in mail.text
    assert f'href="{LINK}"' in mail.html


@EACH
@pytest.mark.parametrize("kind", KINDS_OF_CLOCKS)
def test_one_kind_of_deadline_is_never_shown_as_another(language: str, kind: str) -> None:
    page = WORDING.of(language).page
    facts = MISSED | {"clock_kind": kind}

    for event in ("case.clock_missed", "case.clock_warned"):
        one = shown(facts | {"event": event}, "It rang.", due=DUE_AT)
        for notices in ([one], [one, one]):
            mail = RENDERING.mail(parcel(*notices, language=language))
            for other in KINDS_OF_CLOCKS:
                said = page.whose_clock(other)
                assert (said in mail.text) == (said in _text_of(mail.html)) == (other == kind)
    titles = {WORDING.of(language).happened(MISSED | {"clock_kind": one}) for one in KINDS_OF_CLOCKS}
    assert len(titles) == len(KINDS_OF_CLOCKS)


def test_what_is_urgent_says_so_in_words_in_the_subject_too() -> None:
    marks = WORDING.of("fr").words.marks
    urgent = EMERGENCY | {"urgency": "normal"}
    cases = [
        (shown(EMERGENCY, never_held=True), marks.life),
        (shown(urgent, never_held=True), marks.must_not_wait),
        (shown(urgent), marks.urgent),
        (shown(urgent | {"lane": "normal"}), None),
    ]

    for notice, mark in cases:
        mail = RENDERING.mail(parcel(notice, language="fr"))
        present = [one for one in (marks.life, marks.must_not_wait, marks.urgent) if f"*** {one} ***" in mail.text]
        assert present == ([mark] if mark else [])
        assert mail.subject.startswith(f"{mark} – " if mark else "Dossier")
        assert mail.must_not_wait == bool(notice.data.get("never_held"))


@EACH
def test_the_sentence_of_a_rule_is_in_the_readers_language_with_names_for_codes(language: str) -> None:
    rules = yaml.safe_load((ROOT / "alerts.yaml").read_text())["rules"]
    facts = MISSED | {"step": "7 days", "kind": "roster-gap", "service": "notifier", "rota": "desk"}
    facts |= {"severity": "warning", "alertname": "HostOutOfMemory"}
    facts |= {"recipient": "subscription.siem", "channel": "webhook", "reason": "HTTP 410"}

    for rule in rules:
        says = {name: text.format_map(facts) for name, text in rule["says"].items()}
        mail = RENDERING.mail(parcel(shown(facts, says), language=language))
        codes = {"data_preservation", "security-service", "kept-60-days", "case.clock_missed", "roster-gap"}
        assert [code for code in codes if code in mail.text.replace(CASE, "")] == []


@pytest.mark.parametrize(
    ("language", "due"),
    [
        ("en", "due by Wed 2026-03-11 00:00 UTC+04:00"),
        ("az", "son müddət: Ç. 2026-03-11 00:00 UTC+04:00"),
        ("ru", "крайний срок: ср 2026-03-11 00:00 UTC+04:00"),
        ("fr", "échéance : mer. 2026-03-11 00:00 UTC+04:00"),
    ],
)
def test_a_deadline_that_has_come_is_said_with_its_time_and_zone(language: str, due: str) -> None:
    rules = yaml.safe_load((ROOT / "alerts.yaml").read_text())["rules"]
    (says,) = [rule["says"] for rule in rules if rule["says"]["en"].startswith("The sender's deadline ({step})")]
    sentences = {name: text.format_map(MISSED) for name, text in says.items()}

    for notices in ([shown(MISSED, sentences, due=DUE_AT, never_held=True)] * count for count in (1, 2)):
        mail = RENDERING.mail(parcel(*notices, language=language))
        for part in (mail.text, _text_of(mail.html)):
            assert f"({due})" in part.replace("\u00a0", " ")
    without = RENDERING.mail(parcel(shown(MISSED, sentences), language=language))
    assert f"({WORDING.of(language).words.spans.due})" in without.text


def test_a_sentence_that_is_in_english_alone_says_so_to_who_reads_it_aloud() -> None:
    assert '<h1 lang="en"' in RENDERING.mail(parcel(shown(), language="az")).html
    assert "<h1 style" in RENDERING.mail(parcel(shown(), language="en")).html


def test_where_there_is_no_link_there_is_no_button() -> None:
    mail = RENDERING.mail(parcel(shown(link=None)))

    assert "href" not in mail.html
    assert WORDING.of("en").words.open not in mail.text


def test_a_test_notice_without_facts_is_shown_too() -> None:
    mail = RENDERING.mail(parcel(shown({}, "A test: nothing has happened.", about="test", link=None)))

    assert mail.subject == "A test: nothing has happened. [test]"


# Strangers' words

HOSTILE = (
    "</h1><script>alert(1)</script>{{ 7*7 }}<img src=https://evil.example/x>\r\nReference  cas_false\u202e\x1b[31m"
)


def test_hostile_words_stay_words() -> None:
    facts = {
        "event": "alert.raised",
        "kind": "technical",
        "alertname": HOSTILE,
        "severity": HOSTILE,
        "service": HOSTILE,
    }
    one = shown(facts, HOSTILE, about=HOSTILE, link='https://x/" onclick="alert(1)')

    for notices in ([one], [one, one]):
        mail = RENDERING.mail(parcel(*notices))
        tags = _tags_of(mail.html)
        assert {name for name, _ in tags}.isdisjoint({"script", "img"})
        assert not [value for _, attributes in tags for name, value in attributes if name.startswith("on")]
        assert "49" not in mail.text.replace("2026", "")
        for part in (mail.text, mail.html, mail.subject):
            assert "\x1b" not in part
            assert "\u202e" not in part
        assert not re.search(r"^\s*Reference\s+cas_false", mail.text, re.MULTILINE)
        assert len(mail.subject.splitlines()) == 1


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    line = one_line(text)

    assert len(line.splitlines()) <= 1
    assert all(c.isprintable() or c in "\u00a0\u202f" for c in line)
    assert one_line(line) == line


def test_a_mail_asks_for_nothing_from_elsewhere_and_fits_a_narrow_screen() -> None:
    for notices in ([shown(MISSED, due=DUE_AT)], [shown(MISSED, due=DUE_AT, number=n) for n in range(1, 100)]):
        html = RENDERING.mail(parcel(*notices)).html
        tags = _tags_of(html)
        assert {name for name, _ in tags}.isdisjoint({"img", "link", "script", "style", "iframe", "object", "svg"})
        assert {value for _, attributes in tags for name, value in attributes if name in ("src", "href")} == {LINK}
        assert "url(" not in html
        widths = {value or "" for _, attributes in tags for name, value in attributes if name == "width"}
        assert all(width.endswith("%") or int(width) < 100 for width in widths)
        assert "max-width:600px" in html


# Many at once


def many(count: int) -> list[Shown]:
    def one(n: int) -> Shown:
        kind = KINDS_OF_CLOCKS[n % 3]
        facts = MISSED | {"event": "case.clock_warned", "clock_kind": kind, "lane": "normal", "type": _TYPES[n % 4]}
        due = f"2026-04-{1 + n % 28:02d}T20:00:00.000000Z"
        return shown(facts, "It rings.", number=n, about=f"cas_{n:032x}", due=due, never_held=n == count)

    return [one(n) for n in range(1, count + 1)]


_TYPES = tuple(LAW.text.request_types)[:4]


@EACH
def test_a_digest_counts_all_and_shows_the_first(language: str) -> None:
    words, number = WORDING.of(language).words, WORDING.of(language).number

    mail = RENDERING.mail(parcel(*many(10_000), language=language))

    assert mail.subject.startswith(words.digest.format(count=number(10_000)))
    shown_ones = re.findall(r"cas_[0-9a-f]{32}", mail.text)
    assert len(shown_ones) == len(set(shown_ones)) == SHOWN
    assert shown_ones[0] == f"cas_{10_000:032x}"  # what must not wait stands first
    for said in (words.digest_more.format(count=number(9_950)), words.digest_waits_not.format(count=1)):
        assert said in mail.text
        assert said in _text_of(mail.html)
    counts = re.findall(r"^ {1,8}(\d+)  \S", mail.text, re.MULTILINE)
    assert sum(map(int, counts)) == 10_000
    assert len(mail.html) < 100_000  # what is longer is cut by some mailboxes


def test_a_small_digest_shows_all_in_the_order_in_which_they_are_due() -> None:
    mail = RENDERING.mail(parcel(*many(12)))

    dues = re.findall(r"2026-\d\d-\d\d \d\d:\d\d", mail.text.replace("\u00a0", " "))
    assert mail.subject == "12 notices – Must not wait: 1"
    assert len(dues) == 12
    assert dues[1:] == sorted(dues[1:])
    assert "more" not in mail.text


# A few words


@EACH
def test_a_short_text_is_short_and_in_the_readers_language(language: str) -> None:
    its = WORDING.of(language)

    short = RENDERING.short(parcel(shown(MISSED, "It rang.", due=DUE_AT, never_held=True), language=language))

    assert len(short.title) <= TITLE
    assert short.title.startswith(f"{its.words.marks.must_not_wait} – ")
    due = its.due_by(f"{its.words.weekdays[2]} 2026-03-11 00:00 (Asia/Baku, UTC+04:00)")
    assert short.body.replace("\u00a0", " ").splitlines() == [
        "It rang.",
        f"{due} · {its.page.clock_kinds.statutory}",
        LINK,
    ]


def test_many_as_a_short_text_are_counted_and_the_most_pressing_is_told() -> None:
    short = RENDERING.short(parcel(*many(300)))

    assert short.title == "300 notices"
    assert short.body.splitlines()[:2] == ["Must not wait: 1.", "It rings."]
    assert len(short.body) < 400


def test_nothing_of_what_is_made_is_left_unused() -> None:
    """A word that no template shows would be kept up in four languages for nobody."""
    used = "".join((FOLDER / name).read_text() for name in ("mail.txt", "mail.html"))
    used += "".join(path.read_text() for path in (ROOT / "services/notifier/channels").glob("*.py"))
    for model in (WORDING.of("en").words, WORDING.of("en").words.labels, WORDING.of("en").words.marks):
        assert [name for name in type(model).model_fields if f".{name}" not in used and f'"{name}"' not in used] == []


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


def _tags_of(html: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    return _read(html).tags


def _text_of(html: str) -> str:
    return " ".join(_read(html).words)
