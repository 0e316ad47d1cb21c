"""A lock on a file, so that two processes do not fill one folder at the same time."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, when_taken: Callable[[], None]) -> Iterator[None]:
    """Hold the lock; where another process has it, `when_taken` is called, and may raise instead of waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            when_taken()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
