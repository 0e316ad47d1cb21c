"""Where each recipient is told: from the settings, the roster and the directory as they stand when a notice is sent."""

from collections.abc import Mapping

from services.notifier.channels import Destination
from services.notifier.channels.webhook import Target
from services.notifier.duty.roster import Roster
from services.notifier.lists.directory import Directory
from shared.partners import NoticeChannel

PERSON, SUBSCRIPTION, SYSTEM = "person", "subscription", "system"


class Destinations:
    """Finds addresses; no record holds one."""

    def __init__(
        self, targets: Mapping[str, Target], roster: Roster, directory: Directory, systems: Mapping[str, str]
    ) -> None:
        """`targets`: the webhooks of subscribers; `systems`: the addresses of Alertmanager and the like."""
        self._targets, self._roster, self._directory, self._systems = targets, roster, directory, systems

    def find(self, recipient: str, channel: str) -> Destination | None:
        """Where to send; None where the recipient is no longer there, or cannot be told on this channel."""
        kind, _, name = recipient.partition(".")
        by = NoticeChannel(channel)
        if not name:
            target = self._targets.get(recipient)
            if target is None or by is not NoticeChannel.WEBHOOK:
                return None
            left = self._directory.has_left(recipient, target.url)
            return Destination(recipient, by, target.url, (target.secret.get_secret_value(),), left=left)
        if kind == PERSON:
            person = self._roster.people.get(name)
            address = person.contacts.get(by) if person else None
            if person is None or address is None:
                return None
            return Destination(recipient, by, address, language=person.language, title=person.name)
        if kind == SUBSCRIPTION:
            one = self._directory.subscriptions.get(name)
            if one is None or one.channel != by or one.state == "gone":
                return None
            return Destination(recipient, by, one.address, one.keys, one.language)
        address = self._systems.get(name)
        return Destination(recipient, by, address) if address is not None else None

    def language(self, recipient: str) -> str:
        """In which language a recipient reads."""
        kind, _, name = recipient.partition(".")
        if kind == PERSON and name in self._roster.people:
            return self._roster.people[name].language
        one = self._directory.subscriptions.get(name) if kind == SUBSCRIPTION else None
        return one.language if one else "en"
