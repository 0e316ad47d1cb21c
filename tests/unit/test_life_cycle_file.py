"""A life cycle that cannot be meant stops the start with one sentence; so does a law whose clocks wait for nothing."""

from pathlib import Path

import pytest

from services.router.domain.checks import check_life_cycle
from shared.failures import BadStart
from shared.law import Law, load_law
from shared.life_cycle import LifeCycle, load_life_cycle

ROOT = Path(__file__).parents[2]
TABLE, LAW = ROOT / "life-cycle.yaml", ROOT / "laws/azerbaijan.yaml"


def changed(tmp_path: Path, file: Path, before: str, after: str) -> Path:
    text = file.read_text()
    assert before in text
    path = tmp_path / file.name
    path.write_text(text.replace(before, after, 1))
    return path


def table(tmp_path: Path, before: str, after: str) -> LifeCycle:
    life = load_life_cycle(changed(tmp_path, TABLE, before, after), load_law(LAW))
    check_life_cycle(life)
    return life


WRONG = {
    "a status": ("to: acknowledged}", "to: acknowledgd}", "there is no status 'acknowledgd'; did you mean"),
    "a guard of the table": ("guards: [known-words]", "guards: [known-wrds]", "there is no guard 'known-wrds'"),
    "a guard of the code": (
        "  once:\n    says",
        "  twice:\n    says: x\n    basis: []\n  once:\n    says",
        "'twice' in this",
    ),
    "an answer": ("tells: supplement\n", "tells: suplement\n", "there is no answer 'suplement'; did you mean"),
    "a kind of case": ("cycle: [preservation]", "cycle: [preservatoin]", "'cycle' cannot be 'preservatoin'"),
    "a field": ("      grounds: {kind: codes", "      ground: {kind: codes", "has no field 'grounds'"),
    "a message twice": ("message: extension", "message: withdrawal", "is the message of another update already"),
    "an unknown update": ("  begun:\n", "  begone:\n", "there is no update among the event types 'begone'"),
    "no codes": (", of: urgencies", "", "does not say of which codes it is one"),
    "when it happened": ("happened_at: told_at", "happened_at: told_ad", "there is no field of kind moment 'told_ad'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_table_that_cannot_be_meant_is_refused_in_one_sentence(what: str, tmp_path: Path) -> None:
    before, after, says = WRONG[what]

    with pytest.raises(BadStart, match=says) as refusal:
        table(tmp_path, before, after)

    assert "\n" not in str(refusal.value)


WAITING_FOR_NOTHING = {
    "a start": (
        "starts: preserved,",
        "starts: preservd,",
        "'kept-60-days' waits for 'preservd'.* did you mean 'preserved'",
    ),
    "a stop": ("stops: [released]", "stops: [relesed]", "waits for 'relesed'.* did you mean 'released'"),
    "an end": ("ends: until,", "ends: untill,", "ends at 'untill'.* did you mean 'until'"),
}


@pytest.mark.parametrize("what", WAITING_FOR_NOTHING)
def test_a_clock_that_waits_for_what_nobody_says_is_refused(what: str, tmp_path: Path) -> None:
    before, after, says = WAITING_FOR_NOTHING[what]

    with pytest.raises(BadStart, match=says):
        load_life_cycle(TABLE, load_law(changed(tmp_path, LAW, before, after)))


def test_both_laws_have_a_life_cycle() -> None:
    laws: list[Law] = [load_law(path) for path in (LAW, ROOT / "laws/zedland.yaml")]

    assert [sorted(load_life_cycle(TABLE, law).updates) for law in laws] == [
        sorted(load_life_cycle(TABLE, laws[0]).updates)
    ] * 2
