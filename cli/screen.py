"""Shows in a terminal what the local stack is doing; everything goes to standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

_TOTAL = 100


class Terminal:
    """A line that changes while something is awaited, above it the facts that stay."""

    def __init__(self, console: Console) -> None:
        """Show on this console."""
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=None)

    def note(self, fact: str) -> None:
        """Show a fact and leave it on screen."""
        self._progress.console.print(fact, highlight=False, markup=False)

    def wait(self, what: str, share: float | None = None) -> None:
        """Show what is awaited now; in a log, where lines cannot change, without the shares."""
        if self._progress.disable and share is None:
            self.note(f"waiting: {what}")
        known = share is not None
        self._progress.update(
            self._task, description=f"waiting: {what}", total=_TOTAL if known else None, completed=(share or 0) * _TOTAL
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the changing line during the block."""
        with self._progress:
            yield


def terminal() -> Terminal:
    """The screen of a command: standard error, so that standard output carries the answer alone."""
    return Terminal(Console(stderr=True))
