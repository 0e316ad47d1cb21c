"""The notifier, put together: case events and alerts in, notices out. No I/O here."""

from services.notifier import delivery, domain, handlers
from services.notifier.rules import load_rules
from services.notifier.settings import NotifierSettings
from services.notifier.webhook import Webhooks, check_targets
from shared import topics
from shared.http import api
from shared.service import ASGI, Platform
from shared.vocabulary import Lane


def build(platform: Platform, settings: NotifierSettings) -> ASGI:
    """Subscribe to both lanes of case events, and to the services' own alerts on the urgent one."""
    rules = load_rules(settings.alerts, platform.partners, platform.law, platform.life)
    check_targets(settings.webhooks, platform.partners, settings.webhooks_allow_http)
    notices = platform.loop("notices", domain.decide, domain.evolve, INDEXES)
    read = handlers.on_event(rules, platform.partners.subscribers, platform.ids)
    platform.kafka.subscribe("events", Lane.NORMAL, [topics.case_events(Lane.NORMAL)], read, notices)
    urgent = [topics.case_events(Lane.URGENT), topics.ALERTS_RAISED]
    platform.kafka.subscribe("events", Lane.URGENT, urgent, read, notices)
    sending = delivery.Delivery(notices, Webhooks(settings.webhooks), settings.webhooks, platform.metrics)
    platform.tasks.append(sending.run)
    return api("Rogatory notifier", platform.routes())


INDEXES = (delivery.INDEX, {"keys": [("state.about", 1)], "name": "about"})
