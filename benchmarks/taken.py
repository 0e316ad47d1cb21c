"""What the sink has taken: its process, asked from the measuring one."""

import asyncio
import json
import sys
from collections.abc import Collection
from typing import Any, Self

from benchmarks.books import PATIENCE
from deploy.local.jars import ROOT

_LONGEST_LINE = 64_000_000


class Taken:
    """A sink that runs until the block ends."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        """Start it and wait until it listens."""
        command = (sys.executable, "-m", "benchmarks.sink", str(self._port))
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE
        )
        await self._heard()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    async def expect(self, count: int) -> None:
        """Begin to count anew; `last` waits for so many."""
        await self._ask(f"expect {count}")

    async def last(self) -> float:
        """When the last of those came that were expected."""
        return float((await self._heard())["came"])

    async def check(self, ids: Collection[str]) -> dict[str, float]:
        """When each came; raises unless exactly these did, each once."""
        at = await self.check_count(len(ids))
        assert at.keys() == set(ids), f"{len(at.keys() ^ set(ids))} webhooks are missing or foreign"
        return at

    async def check_count(self, count: int) -> dict[str, float]:
        """The same where nobody knows the ids beforehand."""
        told = await self._ask("tell")
        assert len(told["at"]) == count, f"{len(told['at'])} webhooks instead of {count}"
        assert told["requests"] == count, f"{told['requests'] - count} webhooks came again"
        at: dict[str, float] = told["at"]
        return at

    async def _ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        return await self._heard()

    async def _heard(self) -> Any:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        assert line, "the sink has ended"
        return json.loads(line)
