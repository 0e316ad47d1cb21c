"""A subscriber of the partners file that says 410: remembered over restarts, until it has another address."""

from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from deploy.local.mongo import Mongo as Server
from services.notifier.channels import Destination
from services.notifier.channels.webhook import Target
from services.notifier.destinations import Destinations
from services.notifier.duty.roster import Roster
from services.notifier.lists.lists import Lists
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Mongo
from shared.partners import NoticeChannel
from shared.platform import Platform
from shared.sender import Sender
from tests.service.desk_lists import IDS, SEALER, START, Sent, rules

DUTY, OPERATIONS = "duty-officers", "operations"
OLD, NEW = "https://duty.example/ADDRESS-MARK", "https://new.duty.example/"


def process(mongo: Mongo) -> Lists:
    """A notifier's lists, as it starts."""

    def loop(collection: str, decide: Any, evolve: Any, _indexes: Any) -> Loop:
        sender = cast("Sender", Sent())
        return Loop(mongo.store(collection), decide, evolve, SEALER, sender, Metrics("notifier"), lambda: START)

    made = SimpleNamespace(ids=IDS, sealer=SEALER, loop=loop, tasks=[], before_consuming=[])
    return Lists(cast("Platform", made), rules())


async def where(lists: Lists, subscriber: str, url: str) -> Destination:
    """Where it is told, by the newest look, when the settings name this address."""
    await lists.directory.refresh()
    roster = Roster(ZoneInfo("Asia/Baku"), {}, {})
    target = Target(url=url, secret=SecretStr("whsec_c2VjcmV0"))
    found = Destinations({subscriber: target}, roster, lists.directory, {}).find(subscriber, NoticeChannel.WEBHOOK)
    assert found
    return found


async def test_a_gone_address_is_remembered_over_restarts_until_there_is_another(mongo: Server, database: str) -> None:
    connection = Mongo(mongo.uri, database)
    lists = process(connection)
    assert not (await where(lists, DUTY, OLD)).left

    for _ in range(2):  # what nothing may hold back is tried again, and says so again
        await lists.gone(await where(lists, DUTY, OLD))

    restarted = process(connection)
    assert (await where(lists, DUTY, OLD)).left
    assert (await where(restarted, DUTY, OLD)).left
    assert not (await where(restarted, DUTY, NEW)).left
    assert not (await where(restarted, OPERATIONS, OLD)).left
    [stored] = await restarted.subscriptions.find({}, None, limit=9)
    assert (stored["version"], stored["state"]["subscriber"]) == (1, DUTY)
    assert "ADDRESS-MARK" not in repr(stored)
    assert "duty.example" not in repr(stored)
    await connection.close()
