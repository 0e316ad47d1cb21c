"""How large a letter may be: a deployment may ask for less than the contract, and every reader holds to it."""

from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from services.intake.handlers import on_letter
from services.intake.settings import IntakeSettings
from shared.failures import NeverWill
from shared.letter import BadLetter, parse_letter
from shared.letter_message import parse_message
from shared.limits import CONTRACT, SMALLEST, Limits
from shared.partners import Agency
from tests.unit.intake_letters import IDS, law, life, text

SMALL = Limits(letter_bytes=4_096, measures=2, attachments=1, depth=6)
TYPES = ("extradition", "stored_data_access", "data_preservation")


def pointers(raw: bytes, limits: Limits) -> list[str]:
    """What is wrong with a letter under these limits."""
    try:
        parse_letter(raw, law().request_types, limits)
    except BadLetter as bad:
        return [error.pointer for error in bad.errors]
    return []


@pytest.mark.parametrize("change", [{}, {"party": "XX"}], ids=["good otherwise", "bad otherwise"])
def test_measures_and_attachments_beyond_the_limit_are_named_once(change: dict[str, Any]) -> None:
    files = [{"name": "a"}, {"name": "b"}]
    raw = text(*TYPES, attachments=files, **change)

    expected = ["/measures", "/attachments", *(f"/{name}" for name in change)]
    assert sorted(pointers(raw, SMALL)) == sorted(expected)
    assert pointers(raw, CONTRACT) == [f"/{name}" for name in change]


def test_as_many_as_the_limit_are_taken() -> None:
    assert pointers(text(*TYPES[:2], attachments=[{"name": "a"}]), SMALL) == []


def test_beyond_the_contract_is_named_once_too() -> None:
    assert pointers(text(*["extradition"] * 51), SMALL) == ["/measures"]


def test_a_letter_over_the_bytes_is_refused_unread() -> None:
    with pytest.raises(BadLetter) as refused:
        parse_letter(b" " * 4_097, law().request_types, SMALL)

    assert (refused.value.status, "4096" in refused.value.errors[0].detail) == (413, True)


def test_the_depth_is_the_deployments() -> None:
    nested: Any = [[[[[[1]]]]]]
    raw = orjson.dumps({**orjson.loads(text()), "remark": nested})

    with pytest.raises(BadLetter, match="more than 6 deep"):
        parse_letter(raw, law().request_types, Limits(depth=6))
    with pytest.raises(BadLetter, match="/remark"):
        parse_letter(raw, law().request_types)
    assert pointers(text(), Limits(depth=6)) == []


def test_a_message_has_the_same_limits() -> None:
    with pytest.raises(BadLetter, match="4096"):
        parse_message(b" " * 4_097, life(), limits=SMALL)


def test_kafka_has_the_same_limits() -> None:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("ce_source", b"/a"),
        ("ce_type", b"letter.received"),
    ]
    read = on_letter({"a": Agency(title="A")}, law().request_types, IDS, life(), SMALL)

    def heard(value: bytes) -> ConsumerRecord[Any, Any]:
        topic = "agency.a.letters.v1"
        return ConsumerRecord(topic, 0, 0, 0, 0, None, value, None, 0, len(value), headers)

    assert len(read(heard(text(*TYPES[:2])))) == 1
    with pytest.raises(NeverWill, match="not a letter"):
        read(heard(text(*TYPES)))
    with pytest.raises(NeverWill, match="too large"):
        read(heard(b" " * 4_097))


def test_settings_are_the_contract_unless_told_and_never_more() -> None:
    fields = {name: field for name, field in IntakeSettings.model_fields.items() if name.startswith("max_")}
    del fields["max_connections"], fields["max_bodies_bytes"]
    assert {name.removeprefix("max_"): field.default for name, field in fields.items()} == {
        name: getattr(CONTRACT, name) for name in Limits.__slots__
    }
    for name, field in fields.items():
        bounds = {type(one).__name__: one for one in field.metadata}
        assert bounds["Le"].le == getattr(CONTRACT, name.removeprefix("max_"))
        assert bounds["Ge"].ge == getattr(SMALLEST, name.removeprefix("max_"))
