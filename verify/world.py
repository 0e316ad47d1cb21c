"""What a verification must know of the deployment before it begins: its collections, topics, rules and times."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.intake.domain import evolve as of_letters
from services.notifier.domain import evolve as of_notices
from services.notifier.domain.silences import evolve as of_silences
from services.notifier.domain.subscription_state import evolve as of_subscriptions
from services.router.domain import evolve as of_cases
from shared.checkpoints.keeping import evolve as of_checkpoints
from shared.quarantine import evolve as of_quarantine
from shared.records import Evolve

SERVICES = ("intake", "router", "notifier")


@dataclass(frozen=True)
class Collection:
    """The records of one kind: how they fold, how their ids begin, and whether they live in simulated time."""

    evolve: Evolve
    prefixes: tuple[str, ...]
    is_simulated: bool = False


COLLECTIONS: Mapping[str, Collection] = {
    "letters": Collection(of_letters, ("let_",), is_simulated=True),
    "cases": Collection(of_cases, ("cas_",), is_simulated=True),
    "notices": Collection(of_notices, ("not_", "alt_")),
    "subscriptions": Collection(of_subscriptions, ("sub_", "lft_")),
    "silences": Collection(of_silences, ("sil_",)),
    **{f"{name}_quarantine": Collection(of_quarantine, ("qua_", "alt_"), name != "notifier") for name in SERVICES},
    **{f"{name}_checkpoints": Collection(of_checkpoints, ("chk_",), name != "notifier") for name in SERVICES},
}
"""Each with the fold of its own service, which is all that is shared with it."""


Place = tuple[str, int]
"""A topic and one of its partitions."""
Reader = tuple[str, str, int]
"""A consumer group, a topic and one of its partitions."""
GONE = 2**62
"""Later than every time: of a partition of which nothing is left, and nobody can tell until when."""


@dataclass(frozen=True)
class Bounds:
    """From where to where the topics are read, and what of it the services have read."""

    starts: Mapping[Place, int]
    ends: Mapping[Place, int]
    committed: Mapping[Reader, int]
    partitions: Mapping[str, int]
    """Of each topic that is there."""
    first_at: dict[Place, int]
    """When the first record came that was read, in milliseconds, where something lies before it."""
    begins: Mapping[Place, int] = field(default_factory=dict)
    """What lies before these offsets the topics no longer hold; not kept between two runs."""
    for_ever: frozenset[str] = frozenset()
    """Of topics that begin later than at 0 those that keep everything for ever; not kept between two runs either."""
    no_age: frozenset[str] = frozenset()
    """Of the others of these those of which nobody says for how long they keep a record; not kept either."""


def as_json(bounds: Bounds) -> dict[str, Any]:
    """Bounds for a file between two runs."""
    return {
        "starts": [[*place, offset] for place, offset in bounds.starts.items()],
        "ends": [[*place, offset] for place, offset in bounds.ends.items()],
        "committed": [[*place, offset] for place, offset in bounds.committed.items()],
        "partitions": dict(bounds.partitions),
        "first_at": [[*place, at] for place, at in bounds.first_at.items()],
    }


def of_json(told: Mapping[str, Any]) -> Bounds:
    """The bounds that such a file says."""
    return Bounds(
        {(topic, n): offset for topic, n, offset in told["starts"]},
        {(topic, n): offset for topic, n, offset in told["ends"]},
        {(group, topic, n): offset for group, topic, n, offset in told["committed"]},
        told["partitions"],
        {(topic, n): at for topic, n, at in told["first_at"]},
    )
