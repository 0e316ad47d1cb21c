"""The progress bar of a verification, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn


@contextmanager
def shown(wanted: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show what is told during the block; where lines cannot change, nothing."""
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not (wanted and console.is_terminal),
    ) as progress:
        task = progress.add_task("verifying", total=None)

        def told(what: str, done: int, whole: int) -> None:
            progress.update(task, description=what, completed=done, total=whole or None)

        yield told
