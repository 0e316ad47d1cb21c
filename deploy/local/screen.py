"""What the local stack tells whoever started it: facts that stay, and what it waits for now."""

from typing import Protocol


class Screen(Protocol):
    """Where progress is shown: the terminal for people, nowhere for tests."""

    def note(self, fact: str) -> None:
        """Show a fact and leave it on screen."""

    def wait(self, what: str, share: float | None = None) -> None:
        """Show what is awaited now, with the share that is done (0 to 1) where it is known."""


class Silence:
    """A screen that shows nothing."""

    def note(self, fact: str) -> None:
        """Drop the fact."""

    def wait(self, what: str, share: float | None = None) -> None:
        """Drop it too."""


SILENCE = Silence()
