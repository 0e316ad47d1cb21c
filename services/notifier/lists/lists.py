"""The desk's lists: subscriptions and silences, their records, their view in memory and their routes."""

from collections.abc import Mapping

from fastapi import FastAPI

from services.notifier.channels import Destination
from services.notifier.domain import silences, subscription_state, subscriptions
from services.notifier.domain.subscriptions import Gone, Left
from services.notifier.lists.addresses import CheckUrl
from services.notifier.lists.directory import Directory
from services.notifier.lists.listed import hears_only_never_held
from services.notifier.lists.silences_api import add_silences
from services.notifier.lists.subscriptions_api import SendTest, Subscriptions, add_subscriptions
from services.notifier.rules.alert_rules import AlertRules
from shared.decisions import Message
from shared.log import logger
from shared.platform import Platform
from shared.posts import Posts
from shared.tokens import Verifier


class Lists:
    """Both lists of one process."""

    def __init__(self, platform: Platform, rules: AlertRules) -> None:
        self._rules, self._ids, self._log = rules, platform.ids, logger(part="lists")
        decide_subscription = subscriptions.decide_by(hears_only_never_held(rules))
        decide_silence = silences.decide_by(rules.can_only_be_never_held)
        self._subscriptions = platform.loop(
            "subscriptions", decide_subscription, subscription_state.evolve, [Directory.SUBSCRIPTION_INDEX]
        )
        self._silences = platform.loop("silences", decide_silence, silences.evolve, [Directory.SILENCE_INDEX])
        self.subscriptions, self.silences = self._subscriptions.store, self._silences.store
        self.directory = Directory(
            self.subscriptions,
            self.silences,
            platform.sealer,
            rules.is_never_held,
            self._subscriptions.now,
            platform.ids,
        )
        self._posts = Posts(self._subscriptions), Posts(self._silences)
        platform.tasks += [self.directory.run, *(posts.run for posts in self._posts)]
        # Before the first look nobody of the lists would hear, and nothing would be silenced.
        platform.before_consuming.append(self.directory.loaded)

    async def gone(self, place: Destination) -> None:
        """A system says that it is gone for good: a subscription's is left alone until the desk resumes it.

        That of a subscriber of the partners file gets only what nothing may hold back, until it has another address.
        """
        kind, _, name = place.recipient.partition(".")
        if not name:
            left = self._ids.left(kind, place.address)
            (outcome,) = await self._subscriptions.handle([Message(left, "gone", "notifier", Left(kind))], "clock")
            if outcome.fresh:
                self._log.warning("gone", recipient=kind, until="it has another address in ROGATORY_WEBHOOKS")
            return
        one = self.directory.subscriptions.get(name)
        # The desk may have given it a new address meanwhile, of which the answer says nothing.
        if one is not None and one.address == place.address:
            message = Message(one.record, f"gone/{one.address_seq}", "notifier", Gone(one.address_seq))
            await self._subscriptions.handle([message], "clock")

    def add_routes(
        self, app: FastAPI, verifier: Verifier, check_url: CheckUrl, lacks: Mapping[str, str], send_test: SendTest
    ) -> None:
        """The desk's routes; `lacks`: the channels that are not there, and why."""
        of_subscriptions, of_silences = self._posts
        told = Subscriptions(of_subscriptions, self.directory, self._ids, self._rules, check_url, lacks)
        add_subscriptions(app, verifier, told, send_test)
        add_silences(app, verifier, of_silences, self.directory, self._ids, self._rules)
