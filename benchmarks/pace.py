"""When what is sent at a rate leaves: known beforehand, so that no late answer delays the next (open loop)."""

import random


def moments(rate: float, count: int, seed: int) -> list[float]:
    """Seconds from the beginning: each at a chance place in its own slot, so that no timer runs in step."""
    chance = random.Random(seed)
    return [(number + chance.random()) / rate for number in range(count)]
