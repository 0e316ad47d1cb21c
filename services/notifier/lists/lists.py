"""The desk's lists: subscriptions and silences, their records, their view in memory and their routes."""

from fastapi import FastAPI

from services.notifier.channels import Destination
from services.notifier.domain import silences, subscriptions
from services.notifier.domain.subscriptions import Gone
from services.notifier.lists.addresses import CheckUrl
from services.notifier.lists.directory import Directory
from services.notifier.lists.listed import hears_only_never_held
from services.notifier.lists.silences_api import add_silences
from services.notifier.lists.subscriptions_api import SendTest, Subscriptions, add_subscriptions
from services.notifier.rules.alert_rules import AlertRules
from shared.decisions import Message
from shared.platform import Platform
from shared.posts import Posts
from shared.tokens import Verifier


class Lists:
    """Both lists of one process."""

    def __init__(self, platform: Platform, rules: AlertRules) -> None:
        self._rules, self._ids = rules, platform.ids
        decide_subscription = subscriptions.decide_by(hears_only_never_held(rules))
        decide_silence = silences.decide_by(rules.can_only_be_never_held)
        self._subscriptions = platform.loop(
            "subscriptions", decide_subscription, subscriptions.evolve, [Directory.SUBSCRIPTION_INDEX]
        )
        self._silences = platform.loop("silences", decide_silence, silences.evolve, [Directory.SILENCE_INDEX])
        self.subscriptions, self.silences = self._subscriptions.store, self._silences.store
        self.directory = Directory(
            self.subscriptions,
            self.silences,
            platform.sealer,
            rules.is_never_held,
            self._subscriptions.now,
        )
        self._posts = Posts(self._subscriptions), Posts(self._silences)
        platform.tasks += [self.directory.run, *(posts.run for posts in self._posts)]
        # Before the first look nobody of the lists would hear, and nothing would be silenced.
        platform.before_consuming.append(self.directory.loaded)

    async def gone(self, place: Destination) -> None:
        """A subscription's system says that it is gone for good: it is left alone until the desk resumes it."""
        _, _, name = place.recipient.partition(".")
        one = self.directory.subscriptions.get(name)
        # The desk may have given it a new address meanwhile, of which the answer says nothing.
        if one is not None and one.address == place.address:
            message = Message(one.record, f"gone/{one.address_seq}", "notifier", Gone(one.address_seq))
            await self._subscriptions.handle([message], "clock")

    def add_routes(self, app: FastAPI, verifier: Verifier, check_url: CheckUrl, send_test: SendTest) -> None:
        """The desk's routes."""
        of_subscriptions, of_silences = self._posts
        told = Subscriptions(of_subscriptions, self.directory, self._ids, self._rules, check_url)
        add_subscriptions(app, verifier, told, send_test)
        add_silences(app, verifier, of_silences, self.directory, self._ids, self._rules)
