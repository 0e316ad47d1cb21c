"""A Merkle tree hash over leaves in their order: RFC 9162 section 2.1.1, with SHA-256."""

import hashlib
from collections.abc import Sequence

_LEAF, _NODE = b"\x00", b"\x01"
"""Told apart, so that no node can be shown as a leaf."""


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The one hash that changes when a leaf, or their order or number, does."""
    level = [hashlib.sha256(_LEAF + leaf).digest() for leaf in leaves]
    if not level:
        return hashlib.sha256().digest()
    while len(level) > 1:
        # Pairs from the left, the odd one goes up as it is: the RFC's splits at powers of two, from the bottom.
        pairs = [hashlib.sha256(_NODE + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]
