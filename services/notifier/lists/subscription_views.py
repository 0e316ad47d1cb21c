"""What the desk is shown of a subscription: never a whole address, a key only once."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from services.notifier.lists.addresses import MadeKey, masked
from services.notifier.lists.listed import Subscription
from services.notifier.rules.never_held import Matcher


class PauseView(BaseModel):
    """Who holds it back since when, why and until when; `null` is what a pause of before did not say."""

    author: str | None
    reason: str | None
    since: str | None
    until: str | None
    """`null`: until it is resumed."""


class SubscriptionView(BaseModel):
    """A subscription as the desk sees it."""

    name: str
    channel: str
    address: str
    """Scheme and host, or the host of a mailbox."""
    hears: dict[str, Any]
    language: str
    group_seconds: int | None
    rate: int | None
    state: str
    """`gone`: its system said so (410), and nothing is sent until it is resumed with a new address."""
    pause: PauseView | None
    """While it is `paused`."""
    signs: str | None
    old_keys_sign_until: str | None
    """While a key rotates: when the last of the old ones runs out."""
    added_at: str
    not_held_back: list[str]
    """What no pause holds back of what it hears."""


class AddedView(SubscriptionView):
    """The same with what is shown this once."""

    secret: str | None = None
    """`whsec_...`: checks the signatures (`v1`). It is not shown again."""
    public_key: str | None = None
    """`whpk_...`: checks the signatures (`v1a`)."""


class SubscriptionList(BaseModel):
    """All subscriptions, by name."""

    subscriptions: list[SubscriptionView]


class Tried(BaseModel):
    """What became of a test notice."""

    delivered: bool
    reason: str | None
    for_good: bool
    """Asking again cannot help."""


def view(one: Subscription, never_held: Iterable[Matcher]) -> SubscriptionView:
    """As the desk sees it."""
    old = [key.until for key in one.signing if key.until is not None]
    return SubscriptionView(
        name=one.name,
        channel=one.channel,
        address=masked(one.address),
        hears=dict(one.hears),
        language=one.language,
        group_seconds=int(one.group.total_seconds()) if one.group else None,
        rate=one.rate,
        state=one.state,
        pause=PauseView(**asdict(one.pause)) if one.pause else None,
        signs=one.signs,
        old_keys_sign_until=max(old, default=None),
        added_at=one.added_at,
        not_held_back=[matcher.says for matcher in never_held],
    )


def with_key(seen: SubscriptionView, made: MadeKey | None) -> AddedView:
    """The same with a key that is shown now and not again."""
    shown = {"secret": made.secret, "public_key": made.public_key} if made else {}
    return AddedView(**seen.model_dump(), **shown)
