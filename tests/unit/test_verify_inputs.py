"""What a verification takes for the services' inputs is what they subscribe to."""

from collections import defaultdict
from typing import Any

import pytest

from deploy.local.deployment import Deployment as Local
from services.intake.app import build as intake
from services.intake.settings import IntakeSettings
from services.notifier.app import build as notifier
from services.notifier.settings import NotifierSettings
from services.router.app import build as router
from services.router.settings import RouterSettings
from shared.kafka import KafkaSource
from shared.platform import connect
from verify.command import settings_from
from verify.deployment import Deployment
from verify.world import COLLECTIONS

SERVICES: dict[str, tuple[Any, Any]] = {
    "intake": (IntakeSettings, intake),
    "router": (RouterSettings, router),
    "notifier": (NotifierSettings, notifier),
}


async def test_every_topic_that_a_service_reads_is_verified_by_the_same_group_and_collection(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Local.prepare(tmp_path).settings("127.0.0.1:1", "mongodb://127.0.0.1:1", "http://127.0.0.1:1")
    subscribed: defaultdict[str, set[tuple[str, str, str]]] = defaultdict(set)
    collections = set()
    subscribe = KafkaSource.subscribe

    def noting(self: KafkaSource, name: str, lane: Any, names: Any, read: Any, loop: Any, **more: Any) -> str:
        group = subscribe(self, name, lane, names, read, loop, **more)
        subscribed[self._service] |= {(group, topic, loop.store.name) for topic in names}
        return group

    monkeypatch.setattr(KafkaSource, "subscribe", noting)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    for name, (kind, build) in SERVICES.items():
        platform = connect(name, kind())
        build(platform, platform.settings)
        collections |= {loop.store.name for loop in platform.loops}

    known: defaultdict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for one in Deployment.of(settings_from(told)).inputs:
        known[one.service].add((one.group, one.topic, one.collection))
    assert known == subscribed
    assert collections == COLLECTIONS.keys()


def test_every_topic_of_ours_is_an_output_or_an_input(tmp_path: Any) -> None:
    local = Local.prepare(tmp_path)
    told = local.settings("127.0.0.1:1", "mongodb://127.0.0.1:1", "http://127.0.0.1:1")

    assert {*Deployment.of(settings_from(told)).topics} == local.topics.keys()
