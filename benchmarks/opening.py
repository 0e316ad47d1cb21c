"""`python -m benchmarks.opening`: the router's own microseconds for opening one case, step by step; no servers."""

import gc
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import bson

from benchmarks.letters import AGENCY, bodies
from benchmarks.prepared import Preparer, as_read
from services.router.domain import evolve
from shared import records, times
from shared.decisions import Message
from shared.events import Draft
from shared.records import Record

LETTERS, TOGETHER, ROUNDS = 2_000, 30, 7
"""`TOGETHER`: letters that intake took at the same moment, about as many as 64 connections give."""

T = TypeVar("T")
R = TypeVar("R")


class Clock:
    """The least CPU time that each step took in any round: what disturbs only adds to it."""

    def __init__(self) -> None:
        self.least: dict[str, float] = defaultdict(lambda: float("inf"))

    def each(self, step: str, do: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Do one step for all."""
        before = time.process_time_ns()
        done = [do(item) for item in items]
        self.least[step] = min(self.least[step], (time.process_time_ns() - before) / len(items) / 1e3)
        return done


def main() -> None:
    """Open the same cases again and again, and say what each step costs."""
    preparer, clock = Preparer("11" * 32, "22" * 32, AGENCY), Clock()
    began = times.now()
    moments = (began + timedelta(milliseconds=number // TOGETHER) for number in range(LETTERS))
    posts = [preparer.posted(body, at)[1] for body, at in zip(bodies("run", LETTERS), moments, strict=True)]
    heard: list[Any] = [as_read(post.waves[0][0]) for post in posts]
    gc.collect()
    gc.disable()
    for _ in range(ROUNDS):
        _round(preparer, clock, heard)
        gc.collect()
    for step, least in clock.least.items():
        print(f"{step:10} {least:6.1f} us")
    print(f"{'all':10} {sum(clock.least.values()):6.1f} us")


def _round(preparer: Preparer, clock: Clock, heard: list[Any]) -> None:
    now = times.now()

    def decided(message: Message) -> tuple[Record, Message, Sequence[Draft]]:
        case = Record(message.record, message.record, message.context)
        return case, message, preparer.decide_case(case, message, now).events

    def appended(one: tuple[Record, Message, Sequence[Draft]]) -> Record:
        case, message, drafts = one
        for draft in drafts:
            case.append(draft, by=message.by, cause=message.cause, now=now, evolve=evolve, sealer=preparer.sealer)
        return case

    messages = clock.each("read", lambda record: preparer.read_letter(record)[0], heard)
    cases = clock.each("append", appended, clock.each("decide", decided, messages))
    clock.each("encode", lambda case: bson.encode(records.insertion(case, now)), cases)
    clock.each("to send", lambda case: [preparer.outs(case, event) for event in case.fresh], cases)


if __name__ == "__main__":
    main()
