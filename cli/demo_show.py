"""The demo's showing: listen, play, let the course run, say what is right and what is not."""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from rich.console import Console
from rich.live import Live

from cli.demo_board import Board, Row
from cli.demo_course import Course
from cli.demo_letters import Doors, Sample, samples_folder
from cli.demo_table import brief, brief_time, line, mark, table
from cli.demo_time import SimulatedTime
from cli.demo_watch import hear, is_heard, listening, webhook_receiver, what_to_hear
from deploy.local.stack import Stack
from shared.law import load_law
from shared.partners import Partners, SubscriberChannel, load_partners
from shared.times import text_of
from simulate.actor import Actor
from simulate.play import Play
from simulate.roles import role_of
from simulate.script import Script

_QUIET = 0.5
"""Seconds after the last awaited event in which one that must not come would have come."""
_BETWEEN = 0.3
"""Seconds between letters where somebody watches."""
_TICK = 0.02
_ONCE_PACE, _SEEN_PACE = 0.05, 0.5
"""By what the pauses of those who are played are multiplied: for programs, and where somebody watches."""
_SIMULATED = ("intake", "router")
"""The services that live in the simulated time."""


class Show:
    """One showing of the sample letters on a stack that is up."""

    def __init__(
        self,
        stack: Stack,
        samples: Sequence[Sample],
        script: Script,
        *,
        fresh: bool,
        once: bool,
        as_json: bool,
    ) -> None:
        """Choose how it is shown: `once` for programs and logs, otherwise for somebody at a terminal."""
        self._stack, self._samples = stack, samples
        self._once, self._as_json, self._console = once, as_json, Console()
        self._partners = load_partners(stack.deployment.partners)
        self._board = Board(samples, called_at_once(self._partners), fresh)
        law = load_law(stack.deployment.law, stack.deployment.assumptions)
        actors = [Actor(role_of(name, law, self._partners), rules) for name, rules in script.items()]
        self._play = Play(actors, self._hear_said, _ONCE_PACE if once else _SEEN_PACE)
        self._time = SimulatedTime(stack.mongo_uri, [stack.services[name].url for name in _SIMULATED])

    async def run(self) -> bool:
        """Show it; whether every case stands where it must. Without `once` it stays until Ctrl-C."""
        stack = self._stack
        heard = what_to_hear(stack.deployment.topics, self._partners)
        async with (
            self._time,
            listening(stack.kafka_address, heard, stack.deployment.topics) as consumer,
            self._play.speaking(stack.kafka_address),
        ):
            with webhook_receiver(stack.webhook_url, stack.keys.webhook_secret, self._board):
                self._ear = asyncio.create_task(hear(consumer, heard, self._board, self._play))
                try:
                    return await self._course(consumer)
                finally:
                    self._ear.cancel()

    def rows(self) -> list[Row]:
        """The cases as they stand now."""
        return self._board.rows()

    async def _course(self, consumer: AIOKafkaConsumer) -> bool:
        if self._watched:
            with Live(get_renderable=self._table, console=self._console, refresh_per_second=8):
                await self._file_and_wait(consumer)
        else:
            await self._file_and_wait(consumer)
        is_right = self._say_how_it_ended()
        if not self._once:
            self._say_what_is_up()
            await self._stay()
        return is_right

    @property
    def _watched(self) -> bool:
        """Whether somebody sees the table live."""
        return self._console.is_terminal and not self._as_json

    def _table(self) -> Any:
        return table(self._board.rows(), self._console.width, self._console.height, self._time.now())

    async def _file_and_wait(self, consumer: AIOKafkaConsumer) -> None:
        course = Course(self._board, self._samples, self._time, self._play, self._tick)
        is_seen = self._watched and not self._once
        async with Doors(self._stack.services["intake"].url, self._stack.tokens, self._stack.kafka_address) as doors:
            await course.file(doors, _BETWEEN if is_seen else 0)
        await course.live_on(runs=is_seen)
        await asyncio.sleep(_QUIET)
        while not await is_heard(consumer):
            await self._tick()

    def _hear_said(self, line: str) -> None:
        """What those who are played say shows in the table; a log would drown in it."""

    async def _tick(self) -> None:
        """Wait a moment; raise if a process has ended that should not, or our own listening has."""
        for child in self._stack.children:
            child.check()
        if self._ear.done():
            self._ear.result()
        await asyncio.sleep(_TICK)

    def _say_how_it_ended(self) -> bool:
        rows = [row for row in self._board.rows() if row.expected]
        bad = [*self._board.lacks(), *self._board.wrong()]
        if self._as_json:
            simulated = {"simulated": True, "now": text_of(self._time.now())}
            cases = [_json(row) for row in rows]
            print(json.dumps({"right": not bad, "bad": bad, "time": simulated, "cases": cases}), flush=True)
        elif not self._watched:
            print("\n".join(map(line, rows)), flush=True)
        for row in rows:
            for update, why in row.rejections.items():
                say(f"rejected, as the life cycle asks: {row.label}: {update}. {why}")
        for sentence in bad:
            say(f"not right: {sentence}")
        right = sum(mark(row) == "ok" for row in rows)
        letters = len(self._samples)
        say(f"{letters} letters, {right} of {len(rows)} cases came to the end that samples/expected.yaml says.")
        say(f"{brief_time(self._time.now())}: no date above is a real one.")
        return not bad

    def _say_what_is_up(self) -> None:
        stack = self._stack
        say("Everything is up: " + "  ".join(f"{name} {service.url}" for name, service in stack.services.items()))
        say(f"  kafka {stack.kafka_address}  mongo {stack.mongo_uri}")
        say(f"  tokens {_near(stack.tokens)}  logs {_near(stack.logs)}")
        say("Ctrl-C stops everything. A letter of your own, say a sample under another reference, will show below:")
        say(self._command())

    def _command(self) -> str:
        first = self._samples[0]
        sample = _near(samples_folder() / f"{first.name}.json")
        token = _near(self._stack.tokens / f"{first.agency}.jwt")
        return (
            f"""sed 's/"reference": "[^"]*"/"reference": "MY-1"/' {sample} | curl -sS --data-binary @- """
            f"""-H "Authorization: Bearer $(cat {token})" -H 'Content-Type: application/json' """
            f"-w '\\n' {self._stack.services['intake'].url}/v1/letters"
        )

    async def _stay(self) -> None:
        """Show the cases of other letters as they come, until Ctrl-C or until a process ends that should not."""
        shown: set[str | None] = {row.case for row in self._board.others()}
        while True:
            await self._tick()
            for row in self._board.others():
                if row.case not in shown and row.arrivals and row.told:
                    shown.add(row.case)
                    print(brief(row), flush=True)


def called_at_once(partners: Partners) -> dict[str, tuple[SubscriberChannel, ...]]:
    """Whom a sample's alert must reach: whoever hears by webhook is called, others read when they look."""
    return {who: one.channels for who, one in partners.subscribers.items() if SubscriberChannel.WEBHOOK in one.channels}


def say(sentence: str) -> None:
    """A sentence on standard error, on one line however long: some are commands to copy."""
    print(sentence, file=sys.stderr, flush=True)


def _json(row: Row) -> dict[str, Any]:
    return {
        "letter": row.sample,
        "reference": row.reference,
        "party": row.party,
        "measure": row.measure,
        **{name: row.facts.get(name) for name in ("case", "type", "lane", "authority", "because", "certainty", "gate")},
        "missing": [one["field"] for one in row.facts.get("missing") or ()],
        "holder": row.present.get("authority"),
        "statuses": row.statuses,
        "rejected": dict(row.rejections),
        "topics": [arrival.topic for arrival in row.arrivals],
        "told": row.told,
        "milliseconds": row.milliseconds,
        "wrong": [*row.lacks, *row.wrong],
    }


def _near(path: Path) -> str:
    """A path as one would type it from here."""
    here = os.path.relpath(path)
    return shlex.quote(str(path) if here.startswith("..") else here)
