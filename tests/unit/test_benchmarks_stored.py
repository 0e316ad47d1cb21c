"""The million cases of the benchmark: copies of what our own code writes, with other ids that still belong together."""

import bson
import pytest

from benchmarks.letters import AGENCY, bodies
from benchmarks.prepared import Prepared, Preparer
from benchmarks.stored import ORIGINALS, Pattern, Patterns, standing
from deploy.local.keys import Keys
from services.intake.domain import evolve
from shared.records import chain_holds, event_of, fold
from shared.sealing import Sealer


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.load_or_make(tmp_path_factory.mktemp("keys") / "keys.json")


def test_a_stored_letter_stands_as_its_writes_leave_it_once_everything_is_sent(keys: Keys) -> None:
    prepared = Prepared()
    Preparer(keys.id_key, keys.sealing_key, AGENCY).prepare(bodies("stored", 1), prepared)
    [post], [news] = prepared.posts.values(), prepared.news.values()

    letter = bson.decode(standing(post, news))

    events = [event_of(letter["_id"], form) for form in letter["history"]]
    assert [event.seq for event in events] == [1, 2, 3]
    assert letter["version"] == letter["published"] == 3
    assert "unsent_since" not in letter
    assert chain_holds(letter["_id"], events)
    assert fold(events, evolve) | {"sent": letter["state"]["sent"]} == letter["state"]


def test_a_copy_has_other_ids_and_is_the_same_otherwise() -> None:
    one, other = "cas_" + "0a" * 16, "let_" + "ff" * 16
    data = f'{{"case":"{one}","n":1}}'.encode()
    document = {"_id": one, "context": {"letterid": other}, "data": data, "digest": "0a" * 32}

    copy = bson.decode(Pattern(bson.encode(document), Sealer(bytes(32))).copy(1).raw)

    changed = "cas_" + "0a" * 15 + "0b"
    assert copy == document | {
        "_id": changed,
        "context": {"letterid": "let_" + "ff" * 15 + "fe"},
        "data": f'{{"case":"{changed}","n":1}}'.encode(),
    }


def test_a_copy_has_a_key_of_its_own_that_opens_under_the_deployments() -> None:
    sealer, one = Sealer(bytes(32)), "cas_" + "0a" * 16
    document = bson.encode({"_id": one, "key": sealer.new_key(one).wrapped})

    copy = bson.decode(Pattern(document, sealer).copy(1).raw)

    assert sealer.key_of(copy["_id"], copy["key"])
    assert len(copy["key"]) == len(bson.decode(document)["key"])


def test_copied_letters_cases_and_notices_belong_together_and_none_is_there_twice(keys: Keys) -> None:
    portions = list(Patterns(keys).copies(ORIGINALS + 700))

    letters, cases, notices = (
        {one["_id"]: bson.decode(one.raw) for portion in portions for one in portion[name]}
        for name in ("letters", "cases", "notices")
    )
    assert len(letters) == len(cases) == len(notices) == ORIGINALS + 700
    assert all(letters[case["context"]["letterid"]]["state"]["cases"][0]["case"] == key for key, case in cases.items())
    assert {notice["subject"] for notice in notices.values()} == cases.keys()
    assert len({tuple(case["state"]["refs"]) for case in cases.values()}) == len(cases)
