"""The partners file: who may file, who carries abroad, who gets notices."""

from pathlib import Path

import pytest

from shared.failures import BadStart
from shared.partners import SubscriberChannel, load_partners
from shared.vocabulary import Channel

ROOT = Path(__file__).parents[2]
GOOD = """\
law: law.yaml
agencies:
  contact-point: {title: Contact point, gateway: 24/7}
  investigations: {title: Investigations}
subscribers:
  operations: {title: Operations, channels: [kafka]}
"""


def partners_file(folder: Path, text: str = GOOD) -> Path:
    (folder / "law.yaml").write_text("law: x\n")
    path = folder / "partners.yaml"
    path.write_text(text)
    return path


def test_the_partners_of_the_project_are_read() -> None:
    partners = load_partners(ROOT / "partners.yaml")

    assert {name: agency.gateway for name, agency in partners.agencies.items()} == {
        "contact-point": Channel.CONTACT_POINT,
        "interpol-bureau": Channel.INTERPOL,
        "foreign-ministry": Channel.DIPLOMATIC,
        "central-authority": Channel.CENTRAL_AUTHORITY,
        "cyber-investigations": None,
    }
    assert partners.subscribers["duty-officers"].channels == (SubscriberChannel.KAFKA, SubscriberChannel.WEBHOOK)
    assert partners.subscribers["operations"].channels == (SubscriberChannel.KAFKA,)


def test_the_path_of_the_law_starts_at_the_folder_of_the_partners_file(tmp_path: Path) -> None:
    assert load_partners(partners_file(tmp_path)).law_file == tmp_path / "law.yaml"


REFUSED = {
    "an unknown channel": (
        "gateway: 24/7",
        "gateway: interpoll",
        ":3: 'gateway' cannot be 'interpoll'; did you mean 'i",
    ),
    "an agency id with capitals": ("investigations:", "Investigations:", ":4: 'Investigations' must match "),
    "a channel nobody can send on": ("[kafka]", "[pigeon]", ":6: 'channels' cannot be 'pigeon'; use kafka, webhook"),
    "a channel for people alone": ("[kafka]", "[email]", ":6: 'channels' cannot be 'email'; use kafka, webhook"),
    "a channel named twice": ("[kafka]", "[kafka, kafka]", ":6: 'operations' names a channel twice"),
    "no channel": ("[kafka]", "[]", ":6: 'channels' must not be empty"),
    "an unknown key": ("agencies:", "agency:", ":2: 'agency' is not a key here; did you mean 'agencies'?"),
    "a law that is not there": ("law: law.yaml", "law: lwa.yaml", ":1: there is no law file 'lwa.yaml'"),
    "two gateways on one channel": (
        "{title: Investigations}",
        "{title: Investigations, gateway: 24/7}",
        ":4: 'contact-point' and 'investigations' are both the gateway for 24/7",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_defect_stops_the_start_with_file_and_line(case: str, tmp_path: Path) -> None:
    old, new, sentence = REFUSED[case]
    path = partners_file(tmp_path, GOOD.replace(old, new))

    with pytest.raises(BadStart) as refusal:
        load_partners(path)

    assert str(refusal.value).startswith(f"{path}{sentence}")
