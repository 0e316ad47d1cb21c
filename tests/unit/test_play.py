"""What goes wrong while actors speak comes out as it was: who started them has words for it, and nobody for a group."""

import pytest

from deploy.local.processes import ChildStopped
from simulate.play import Play


class Producer:
    """A stand-in for Kafka, which takes everything."""

    def __init__(self, **_: object) -> None:
        self.is_open = False

    async def start(self) -> None:
        self.is_open = True

    async def stop(self) -> None:
        self.is_open = False


async def test_a_process_that_has_died_is_said_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulate.play.AIOKafkaProducer", Producer)
    play = Play([], print)

    with pytest.raises(ChildStopped, match="router ended"):
        async with play.speaking("kafka:9092"):
            raise ChildStopped("router ended with exit code -9")

    assert not play._producer.is_open  # type: ignore[attr-defined]


async def test_an_actor_who_fails_ends_it_and_is_said_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulate.play.AIOKafkaProducer", Producer)
    play = Play([], print)

    async def fail() -> None:
        raise KeyError("a rule of the script")

    with pytest.raises(KeyError, match="a rule of the script"):
        async with play.speaking("kafka:9092"):
            await play._parts.create_task(fail())
