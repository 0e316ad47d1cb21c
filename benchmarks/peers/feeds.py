"""What IntelMQ does with letters in one round: over one connection they come, and leave as lines of a file."""

import asyncio
import contextlib
import json
import struct
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.books import PATIENCE
from benchmarks.cpu import Cpu
from benchmarks.ground import Ground
from benchmarks.letters import SIZE, bodies
from benchmarks.measure import Seen
from benchmarks.peers.intelmq import IntelMQ
from deploy.local.ports import HOST

_LOOK = 0.005
"""Seconds between two looks at the file."""


def letter_in_its_words(body: bytes) -> bytes:
    """The same letter as IntelMQ's parser reads it, of the same size: what the sieve asks for in keys of their own."""
    letter = json.loads(body)
    [measure] = letter.pop("measures")
    event = {
        "classification.type": "other",
        "classification.identifier": measure["type"],
        "extra.reference": letter.pop("reference"),
        "extra.direction": letter.pop("direction"),
        "extra.letter": {**letter, "contents": measure["contents"]},
    }
    longer = len(_json(event)) - SIZE
    measure["contents"]["facts"] = measure["contents"]["facts"][: -longer or None]
    return _json(event)


class FeedRounds:
    """Rounds in which letters come over one connection, one message each, and leave as lines of a file."""

    def __init__(self, ground: Ground, warm: int, count: int) -> None:
        self._ground = ground
        self._letters = {
            name: [letter_in_its_words(body) for body in bodies(name, number)]
            for name, number in (("warm", warm), ("run", count))
        }

    def run(self, side: IntelMQ) -> Seen:
        """Measure all of them."""
        side.start()
        try:
            return asyncio.run(self._run(side))
        finally:
            side.stop()

    async def _run(self, side: IntelMQ) -> Seen:
        warm, run = self._letters["warm"], self._letters["run"]
        lines = Lines(side.events)
        await self._go(side, lines, warm)
        cpu = Cpu({**side.pids, "watch": self._ground.pids["watch"]})
        seconds = await self._go(side, lines, run)
        used = cpu.microseconds_each(len(run))
        await asyncio.sleep(0.3)
        lines.check([*warm, *run])
        side.check_queues()
        return Seen(len(run) / seconds, used)

    async def _go(self, side: IntelMQ, lines: "Lines", letters: Sequence[bytes]) -> float:
        """Seconds from the first letter until the last line is in the file."""
        wanted = lines.count + len(letters)
        reader, writer = await asyncio.open_connection(HOST, side.port)
        began = time.monotonic()

        async def send() -> None:
            for letter in letters:
                writer.write(struct.pack(">I", len(letter)) + letter)
                await writer.drain()

        async def hear() -> None:
            answers = await reader.readexactly(2 * len(letters))
            assert answers == b"Ok" * len(letters), "IntelMQ's collector did not take every letter"

        _, _, ended = await asyncio.wait_for(asyncio.gather(send(), hear(), lines.until(wanted)), PATIENCE)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return ended - began


class Lines:
    """The lines of a file that grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._read, self.count = path, 0, 0

    async def until(self, count: int) -> float:
        """When so many were there."""
        while self.count < count:
            if self._path.exists() and self._path.stat().st_size > self._read:
                with self._path.open("rb") as file:
                    file.seek(self._read)
                    new = file.read()
                self._read += len(new)
                self.count += new.count(b"\n")
            else:
                await asyncio.sleep(_LOOK)
        return time.monotonic()

    def check(self, letters: Sequence[bytes]) -> None:
        """Raise unless exactly these letters are there, each once."""
        found = Counter(_reference(line) for line in self._path.read_bytes().splitlines())
        wanted = Counter(map(_reference, letters))
        assert found == wanted, f"IntelMQ: {found.total()} events instead of {wanted.total()}, or others, or any twice"


def _reference(event: bytes) -> str:
    return str(json.loads(event)["extra.reference"])


def _json(what: object) -> bytes:
    return json.dumps(what, separators=(",", ":")).encode()
