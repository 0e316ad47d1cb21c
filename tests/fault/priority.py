"""Who goes first where processors are few: what stands for the world outside does not wait for what is tested."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

_OWN = Path("/proc/self/autogroup")
"""How nice this session is to others; our services and servers have sessions of their own."""
_FIRST, _AS_OTHERS = -10, 0


def go_first() -> None:
    """From now on, where Linux can and lets us."""
    _be(_FIRST)


@contextlib.contextmanager
def going_first() -> Iterator[None]:
    """During the block."""
    _be(_FIRST)
    try:
        yield
    finally:
        _be(_AS_OTHERS)


def _be(nice: int) -> None:
    with contextlib.suppress(OSError):
        _OWN.write_text(str(nice))
