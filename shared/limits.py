"""How large a letter may be: the contract's limits, and a deployment's own, which may only be smaller."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one letter, or one message on a letter; files travel as digest and link."""

    letter_bytes: int = 512 * 1024
    measures: int = 50
    attachments: int = 200
    depth: int = 16
    """Objects and lists in each other; a letter needs six."""
    batch_lines: int = 1_000
    batch_bytes: int = 16 * 1024 * 1024
    """Of letters that are posted together (NDJSON)."""


CONTRACT = Limits()
"""What partners may rely on, and what everything behind the door is made for."""
MOST_VALUES = 50_000
"""In one letter, message or update: entries of lists and members of objects. 22,000 are all that the forms name."""
SMALLEST = Limits(letter_bytes=4_096, measures=1, attachments=1, depth=6, batch_lines=1, batch_bytes=4_096)
"""Below that, no letter of a usual kind could come in."""
