"""Child processes that say how they died and never outlive us, not even when we are killed with -9."""

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_WIDTH = 400

PATIENCE = 120.0
"""Seconds to wait for a start: long, for a busy machine; a process that ended is noticed at once anyway."""
_LIBC = ctypes.CDLL(None)

_STARTER = ThreadPoolExecutor(1, "starts-children")
"""The one thread that starts children: Linux kills them when the *thread* that started them ends."""


class ChildStopped(Exception):
    """A process that should run has ended: the message says which, and shows the end of its log."""


class Child:
    """A running program, its name for people and its log."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start the program; what it prints is added to its log."""
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._process = _STARTER.submit(_start, command, log, environment).result()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; minus the signal where one ended it."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send a signal; a process that has ended gets none."""
        if self.is_running:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash would, and see it gone."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def stop(self, patience: float = 10) -> None:
        """Ask it to end; when the patience is over, end it."""
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()

    def check(self) -> None:
        """Raise if it has ended."""
        if not self.is_running:
            raise ChildStopped(
                f"{self.name} ended with exit code {self.exit_code}; the end of {self.log}:\n{last_lines(self.log)}"
            )


def _start(command: Sequence[str], log: Path, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    parent = os.getpid()

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=None if environment is None else dict(environment),
            start_new_session=True,  # Ctrl-C reaches us alone, and we stop the children in order
            preexec_fn=die_with_parent,
        )


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log."""
    return "\n".join(_readable(line)[:_WIDTH] for line in log.read_text(errors="replace").splitlines()[-count:])


def _readable(line: str) -> str:
    """MongoDB logs in JSON: when and what it says, and of a warning or worse what it says of it."""
    try:
        said = json.loads(line)
        text = f"{said['t']['$date']} {said['s']} {said['msg']}"
    except (ValueError, TypeError, KeyError):
        return line
    return f"{text} {said.get('attr', '')}" if said["s"] in {"W", "E", "F"} else text


def stop_all(children: Iterable[Child], patience: float = 10) -> None:
    """Stop several at the same time."""
    children = list(children)
    for child in children:
        child.signal(signal.SIGTERM)
    end = time.monotonic() + patience
    for child in children:
        child.stop(max(0.1, end - time.monotonic()))


def wait_until(is_so: Callable[[], bool], what: str, children: Sequence[Child], patience: float = PATIENCE) -> None:
    """Wait for something that the last child brings about; a child that ends meanwhile, or too long a wait, raises."""
    end = time.monotonic() + patience
    while not is_so():
        for child in children:
            child.check()
        if time.monotonic() > end:
            log = f"; the end of {children[-1].log}:\n{last_lines(children[-1].log)}" if children else ""
            raise ChildStopped(f"{what} did not happen within {patience:.0f} s{log}")
        time.sleep(0.02)


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal raise KeyboardInterrupt, once: a second one cannot disturb the stop."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_: object) -> None:
        for number in numbers:
            signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
