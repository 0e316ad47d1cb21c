"""Whether the checkpoints hold, and whether what they anchored still stands: pure, from bytes to findings.

A checkpoint is read and checked by itself (`read`), its head against the others of its instance (`unlinked`), each leaf
against the history of its record (`differs`). `check` does all three, where everything fits in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from shared.checkpoints.checkpoint import Checkpoint, Leaf, key_id
from shared.events import AUDIT_CHECKPOINT, Event
from shared.failures import NeverWill
from shared.topics import CHECKPOINTS
from verify.findings import Finding, Kind

_Record = ConsumerRecord[Any, Any]
ChainAt = Callable[[str, int], bytes | None]
"""The chain of a record at a version; None where there is no such record or version."""
IsKept = Callable[[str, str, int], bool]
"""Whether MongoDB holds a checkpoint of a service and instance under a number: then it may still be on its way."""


class Link(NamedTuple):
    """What of a checkpoint is held against the others of its instance."""

    service: str
    instance: str
    number: int
    digest: str
    previous: str | None


def keys_of(public: Iterable[bytes]) -> dict[str, bytes]:
    """Public keys by the names that checkpoints call them."""
    return {key_id(key): key for key in public}


def link_of(checkpoint: Checkpoint) -> Link:
    """The link of a checkpoint."""
    head = checkpoint.head
    return Link(head.service, head.instance, head.number, head.digest, head.previous)


def read(record: _Record, keys: Mapping[str, bytes]) -> tuple[Checkpoint | None, list[Finding]]:
    """The checkpoint of one record of the topic, if it holds, and what is wrong with it.

    Without any keys its signature is not checked: the caller says so.
    """
    where = f"at {record.partition}/{record.offset}"
    try:
        if ("ce_type", AUDIT_CHECKPOINT.encode()) not in record.headers:
            raise NeverWill("not a checkpoint")
        checkpoint = Checkpoint.read(record.value)
    except NeverWill as reason:
        return None, [Finding(Kind.UNREADABLE, "", f"{where}: {reason}", CHECKPOINTS)]
    head = checkpoint.head
    name = f"{head.service}/{head.instance} number {head.number}"
    if not checkpoint.holds():
        return None, [Finding(Kind.FORGED, "", f"{where}, {name}: the root is not that of the leaves", CHECKPOINTS)]
    if keys and head.key not in keys:
        return None, [Finding(Kind.UNKNOWN_KEY, "", f"{where}, {name}: {head.key}", CHECKPOINTS)]
    if keys and not checkpoint.is_signed_by(keys[head.key]):
        return None, [Finding(Kind.FORGED, "", f"{where}, {name}: the signature does not hold", CHECKPOINTS)]
    return checkpoint, []


def unlinked(
    links: Iterable[Link], is_kept: IsKept = lambda *_: False, from_the_beginning: bool = False
) -> Iterator[Finding]:
    """What is wrong with the links of one instance, in any order and however often each comes.

    `from_the_beginning`: nothing was deleted from the topic, so that the first of them must be there.
    """
    row = sorted(set(links), key=lambda link: link.number)
    for link, after in pairwise(row):
        name = f"{after.service}/{after.instance} number {after.number}"
        if after.number == link.number:
            yield Finding(Kind.UNLINKED, "", f"{name}: there are two of this number", CHECKPOINTS)
        elif after.number == link.number + 1 and after.previous != link.digest:
            yield Finding(Kind.UNLINKED, "", f"{name}: it names another than the one before it", CHECKPOINTS)
        elif after.number > link.number + 1:
            yield from _missing(after, link.number + 1, is_kept)
    if row and from_the_beginning:
        yield from _missing(row[0], 1, is_kept)
    if row and row[0].number == 1 and row[0].previous is not None:
        name = f"{row[0].service}/{row[0].instance} number 1"
        yield Finding(Kind.UNLINKED, "", f"{name}: it is the first and names one before it", CHECKPOINTS)


def _missing(after: Link, number: int, is_kept: IsKept) -> Iterator[Finding]:
    gone = [n for n in range(number, after.number) if not is_kept(after.service, after.instance, n)]
    if gone:
        between = f"{gone[0]}" if len(gone) == 1 else f"{len(gone)} between {gone[0]} and {gone[-1]}"
        yield Finding(Kind.MISSING, "", f"{after.service}/{after.instance} number {between}", CHECKPOINTS)


def differs(leaf: Leaf, chain: bytes | None) -> Finding | None:
    """What is wrong with a record whose chain at the version of a leaf is this; None if nothing is."""
    record, version, anchored = leaf
    if chain is None:
        return Finding(Kind.REMOVED, record, f"event {version} was anchored and is not there", CHECKPOINTS)
    if chain.hex() != anchored:
        return Finding(Kind.REWRITTEN, record, f"up to event {version} it is not what was anchored", CHECKPOINTS)
    return None


def check(checkpoints: Iterable[_Record], head_at: ChainAt, keys: Mapping[str, bytes]) -> list[Finding]:
    """Everything that is wrong with these checkpoints, and with the records that they anchored."""
    findings: list[Finding] = []
    links: dict[tuple[str, str], list[Link]] = {}
    for record in checkpoints:
        checkpoint, found = read(record, keys)
        findings += found
        if checkpoint is None:
            continue
        link = link_of(checkpoint)
        links.setdefault((link.service, link.instance), []).append(link)
        wrong = (differs(leaf, head_at(leaf[0], leaf[1])) for leaf in checkpoint.leaves)
        findings += [one for one in wrong if one]
    for row in links.values():
        findings += unlinked(row)
    return findings


def chain_at(events: Sequence[Event], version: int) -> bytes | None:
    """The chain at a version of a history."""
    return events[version - 1].chain if 0 < version <= len(events) else None
