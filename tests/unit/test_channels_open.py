"""The channels of a deployment: those that it does not have are known, with what to set."""

import json
from typing import Any

import pytest

from services.notifier import channels_open
from services.notifier.channels.alertmanager import Alertmanagers
from services.notifier.channels.outgoing import Outgoing
from services.notifier.lists.subscription_forms import Way
from services.notifier.settings import NotifierSettings
from tests.unit.endpoints import HERE
from tests.unit.parcels import WORDING

SMTP = json.dumps({"host": "mail.example.org", "sender": "rogatory@example.org", "user": "u", "password": "p"})


def settings(**more: Any) -> NotifierSettings:
    """What a notifier is told."""
    told: dict[str, Any] = {
        "kafka": "localhost:9092",
        "mongo": "mongodb://localhost",
        "id_key": "11" * 32,
        "sealing_key": "22" * 32,
    }
    return NotifierSettings(**told, jwks="jwks.json", token_issuer="i", token_audience="a", **more)


@pytest.mark.parametrize("more", [{}, {"smtp": SMTP}, {"people_by_log": True}])
async def test_every_way_of_a_subscription_is_there_or_known_to_be_lacking(more: dict[str, Any]) -> None:
    made = settings(**more)

    channels = channels_open.open_channels(made, Alertmanagers(Outgoing(HERE)), WORDING)
    lacking = channels_open.lacking(made)

    assert {str(way) for way in Way} - {str(channel) for channel in channels} == {*lacking}
    assert all("ROGATORY_" in says for says in lacking.values())
    assert bool(lacking) is (not more)
