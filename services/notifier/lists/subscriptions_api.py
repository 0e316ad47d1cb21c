"""`/v1/subscriptions`: the desk adds recipients, holds them back, tries them, changes their keys, removes them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response

from services.notifier.domain.bodies import Delivered, Failed
from services.notifier.domain.subscription_state import Status
from services.notifier.domain.subscriptions import Add, Pause, Refused, Remove, Resume, RotateKey, Why
from services.notifier.lists import addresses
from services.notifier.lists.addresses import CheckUrl, MadeKey
from services.notifier.lists.desk import BODIES, MOST_BYTES, WHEN, desk_by, one_of, refusal, said, wrong_facts
from services.notifier.lists.directory import Directory, Subscription
from services.notifier.lists.listed import never_held_of
from services.notifier.lists.subscription_forms import HearsWhat, NewSubscription, Pausing, Resumption
from services.notifier.lists.subscription_views import (
    AddedView,
    SubscriptionList,
    SubscriptionView,
    Tried,
    view,
    with_key,
)
from services.notifier.rules.alert_rules import AlertRules
from shared import problems
from shared.bad_letter import FieldError
from shared.bodies import body_of, json_in, typed
from shared.http import PROBLEMS, documented
from shared.ids import Ids
from shared.loop import Outcome
from shared.partners import NoticeChannel
from shared.posts import Posts
from shared.problems import ProblemError
from shared.times import text_of
from shared.tokens import Verifier

PATH = "/v1/subscriptions"
SendTest = Callable[[Subscription], Awaitable[Delivered | Failed]]
"""One test notice, now, by the subscription's own channel."""


@dataclass(frozen=True)
class Subscriptions:
    """The subscriptions as the routes reach them."""

    posts: Posts
    directory: Directory
    ids: Ids
    rules: AlertRules
    check_url: CheckUrl
    lacks: Mapping[str, str]
    """The channels that this deployment does not have, and what to set."""

    async def found(self, name: str) -> Subscription:
        """The subscription as it stands now."""
        await self.directory.refresh(sure=True)
        one = self.directory.subscriptions.get(name)
        if one is None:
            raise ProblemError(problems.not_found())
        return one

    async def view(self, name: str) -> SubscriptionView:
        """The same as the desk sees it."""
        one = await self.found(name)
        return self.seen(one)

    def seen(self, one: Subscription) -> SubscriptionView:
        """As the desk sees it."""
        return view(one, never_held_of(one.hears, self.rules))

    async def say(self, name: str, body: Any, size: int = 0) -> Outcome:
        """Have something happen to it; raises what forbids it."""
        outcome = await said(self.posts, self.ids.subscription(name), body, size)
        if isinstance(outcome.reply, Refused):
            of_it: Any = ()
            if outcome.reply.why is Why.NEVER_HELD:
                of_it = never_held_of(outcome.record.state["hears"], self.rules)
            raise ProblemError(refusal(outcome.reply, 409, of_it))
        return outcome

    def check(self, hears: HearsWhat, channel: str, address: str) -> None:
        """Whether there is what is said; raises with every field that is wrong."""
        errors = wrong_facts("/hears/when", hears.when or {}, self.rules.values)
        if hears.audience is not None and hears.audience not in self.rules.audiences:
            hint = one_of(hears.audience, self.rules.audiences)
            errors.append(FieldError("/hears/audience", f"Is no audience of the alerts file{hint}"))
        if channel in self.lacks:
            errors.append(FieldError("/channel", self.lacks[channel]))
        if why := addresses.why_not(NoticeChannel(channel), address, self.check_url):
            errors.append(FieldError("/address", why))
        if errors:
            raise ProblemError(problems.bad_request(errors))

    async def resume(self, name: str, resumption: Resumption, size: int) -> None:
        """Serve it again, at another address if one is told."""
        if resumption.address is not None:
            one = await self.found(name)
            if why := addresses.why_not(one.channel, resumption.address, self.check_url):
                raise ProblemError(problems.bad_request([FieldError("/address", why)]))
        await self.say(name, Resume(resumption.address), size)


def add_subscriptions(app: FastAPI, verifier: Verifier, subscriptions: Subscriptions, send_test: SendTest) -> None:
    """The routes."""
    Desk = Annotated[str, desk_by(verifier)]  # noqa: N806 - a type

    @app.post(PATH, status_code=201, responses=PROBLEMS | BODIES | _TAKEN, openapi_extra=body_of(NewSubscription))
    async def add(request: Request, response: Response, _desk: Desk) -> AddedView:
        """Add a recipient; its secret is shown in this answer and never again. The same again changes nothing."""
        raw = await json_in(request, MOST_BYTES)
        new = typed(raw, NewSubscription, WHEN)
        subscriptions.check(new.hears, new.channel, new.address)
        made = addresses.make_key(new.kind_of_key) if new.kind_of_key else None
        outcome = await subscriptions.say(new.name, _add(new, made), len(raw))
        response.status_code = 201 if outcome.fresh else 200
        return with_key(await subscriptions.view(new.name), made if outcome.fresh else None)

    @app.get(PATH, responses=PROBLEMS)
    async def list_subscriptions(_desk: Desk) -> SubscriptionList:
        """All of them."""
        await subscriptions.directory.refresh()
        every = subscriptions.directory.subscriptions.values()
        return SubscriptionList(subscriptions=[subscriptions.seen(one) for one in every])

    @app.get(PATH + "/{name}", responses=PROBLEMS)
    async def get_subscription(name: str, _desk: Desk) -> SubscriptionView:
        """One of them."""
        return await subscriptions.view(name)

    @app.delete(PATH + "/{name}", status_code=204, responses=PROBLEMS)
    async def remove(name: str, _desk: Desk) -> None:
        """Take it away; its name may be used anew."""
        await subscriptions.say(name, Remove())
        await subscriptions.directory.refresh(sure=True)

    @app.post(PATH + "/{name}/pause", responses=PROBLEMS | BODIES | _NOT_NOW, openapi_extra=body_of(Pausing))
    async def pause(name: str, request: Request, desk: Desk) -> SubscriptionView:
        """Hold back what may be held back, with who and why; `not_held_back` says what is told all the same."""
        raw = await json_in(request, MOST_BYTES)
        told = typed(raw.strip() or b"{}", Pausing)
        until = text_of(told.until) if told.until else None
        await subscriptions.say(name, Pause(told.author or desk, told.reason, until), len(raw))
        return await subscriptions.view(name)

    @app.post(
        PATH + "/{name}/resume",
        responses=PROBLEMS | BODIES | _NOT_NOW,
        openapi_extra=body_of(Resumption, required=False),
    )
    async def resume(name: str, request: Request, _desk: Desk) -> SubscriptionView:
        """Serve it again; one that is gone needs a new address."""
        raw = await json_in(request, MOST_BYTES)
        await subscriptions.resume(name, typed(raw, Resumption) if raw.strip() else Resumption(), len(raw))
        return await subscriptions.view(name)

    @app.post(PATH + "/{name}/rotate-key", responses=PROBLEMS | _NOT_NOW)
    async def rotate_key(name: str, _desk: Desk) -> AddedView:
        """Sign with a new key, shown in this answer and never again; for 24 hours the old one signs too."""
        made = addresses.make_key((await subscriptions.found(name)).signs or addresses.V1)
        await subscriptions.say(name, RotateKey(made.kept))
        return with_key(await subscriptions.view(name), made)

    @app.post(PATH + "/{name}/test", responses=PROBLEMS | _NOT_NOW)
    async def test(name: str, _desk: Desk) -> Tried:
        """Send a test notice now, also while paused, and say what became of it."""
        one = await subscriptions.found(name)
        if one.state is Status.GONE:
            gone = Refused(Why.FORBIDDEN, "Its system said that it is gone: resume it with a new address first.")
            raise ProblemError(refusal(gone, 409))
        return _told(await send_test(one))


def _add(new: NewSubscription, made: MadeKey | None) -> Add:
    return Add(
        name=new.name,
        channel=str(new.channel),
        address=new.address,
        key=made.kept if made else None,
        signs=new.kind_of_key,
        hears=new.hears.kept,
        language=new.language,
        group=int(new.group.total_seconds()) if new.group else None,
        rate=new.rate,
    )


def _told(outcome: Delivered | Failed) -> Tried:
    if isinstance(outcome, Failed):
        return Tried(delivered=False, reason=outcome.reason, for_good=outcome.for_good)
    return Tried(delivered=True, reason=None, for_good=False)


_TAKEN = {
    200: {"description": "It stands already: its secret is not shown again"},
    **documented({409: "The name is taken: the fields that differ"}),
}
_NOT_NOW = documented({409: "Not as it stands now, or nothing may hold this back"})
