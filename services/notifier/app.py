"""The notifier, put together: case events, alerts and acknowledgements in, notices out. No I/O here."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from services.notifier import channels_open, handlers
from services.notifier.acknowledgement.acknowledgements import on_acknowledgement
from services.notifier.acknowledgement.acks import Acks
from services.notifier.acknowledgement.links import Links
from services.notifier.acknowledgement.notices_api import add_notices
from services.notifier.acknowledgement.notices_views import INDEXES as OF_VIEWS
from services.notifier.acknowledgement.notices_views import NoticeView
from services.notifier.acknowledgement.page import Page, add_page
from services.notifier.alertmanager_in import Technical, add_alertmanager
from services.notifier.audit.auditor import Auditor
from services.notifier.channels.wording import Wording
from services.notifier.choosing import FIRST_INDEX as DUE_FIRST
from services.notifier.choosing import INDEX as DUE
from services.notifier.delivery import Delivery
from services.notifier.destinations import Destinations
from services.notifier.domain import decide, evolve
from services.notifier.domain.accounts import terms
from services.notifier.duty.roster import load_roster
from services.notifier.duty.roster_watch import RosterWatch
from services.notifier.fanout import Fanout
from services.notifier.firing import INDEX as BURNS
from services.notifier.firing import Firing
from services.notifier.following import INDEX as FOLLOW
from services.notifier.following import Following
from services.notifier.heartbeat import Heartbeat
from services.notifier.lists.lists import Lists
from services.notifier.measures import Measures, NotifierMetrics
from services.notifier.moving import Moving
from services.notifier.rules.alert_file import load_rules
from services.notifier.sending import Sending
from services.notifier.settings import NotifierSettings
from services.notifier.technical import TechnicalAlerts
from shared import topics
from shared.decisions import Message
from shared.http import api
from shared.log import logger
from shared.platform import Platform, Task
from shared.posts import Posts
from shared.quarantine.api import add_quarantine
from shared.service import ASGI
from shared.tokens import KeySource, Verifier
from shared.vocabulary import Lane

INDEXES: tuple[Mapping[str, Any], ...] = (
    DUE,
    DUE_FIRST,
    FOLLOW,
    BURNS,
    {"keys": [("state.about", 1)], "name": "about"},
    *OF_VIEWS,
)


def build(platform: Platform, settings: NotifierSettings) -> ASGI:
    """Both lanes of case events, the services' own alerts and the subscribers' acknowledgements, over one loop."""
    roster = load_roster(settings.roster)
    rules = load_rules(settings.alerts, platform.partners, platform.law, platform.life, roster)
    for warning in rules.warnings:
        logger().warning("alerts file", says=warning)
    channels_open.check(settings, platform.partners, rules)
    notices = platform.loop("notices", decide, evolve, INDEXES, terms)
    lists, posts, moving = Lists(platform, rules), Posts(notices), Moving(notices.store, rules.owns_ladder)
    fanout = Fanout(rules, platform.partners.subscribers, roster, lists.directory, platform.ids, notices.now)
    links = Links(settings.public_url, settings.id_key.get_secret_value())
    alertmanagers = channels_open.open_alertmanagers(settings)
    wording = Wording(platform.law, roster.zone)
    channels = channels_open.open_channels(settings, alertmanagers, wording)
    places = Destinations(settings.webhooks, roster, lists.directory, channels_open.systems(settings))
    sending = Sending(
        notices,
        channels,
        places,
        platform.metrics,
        fanout.sentences,
        links.link,
        lists.gone,
        partial(lists.directory.refresh, sure=True),
    )
    delivery = Delivery(notices, sending, settings.instance)
    measured = NotifierMetrics(platform.metrics.registry)
    climbing = Following(notices, fanout, platform.metrics, measured, delivery)
    groups = _hear(platform, fanout, moving, climbing, delivery)
    watch = RosterWatch(roster, platform.quarantine.alarm, notices.now)
    auditor = Auditor(
        settings.kafka,
        f"rogatory-notifier-{settings.instance}",
        groups,
        rules,
        {name: one.channels for name, one in platform.partners.subscribers.items()},
        notices.store,
        platform.mongo,
        platform.ids,
        measured,
        platform.quarantine.alarm,
        notices.now,
    )
    measures = Measures(measured, notices.store, lists.silences, lists.subscriptions, notices.now)
    firing = Firing(notices, alertmanagers, places, fanout.sentences, links.link)
    known = lists.directory.loaded
    platform.before_consuming.append(auditor.begin)
    platform.tasks += [climbing.run, posts.run, watch.run, auditor.run, measures.run]
    platform.tasks += [_once(known, delivery.run), _once(known, firing.run)]
    if settings.heartbeat_url:

        def is_well() -> bool:
            return platform.consuming and platform.why_stop() is None and not auditor.has_open_gaps

        beating = Heartbeat(settings.heartbeat_url, is_well, settings.instance, settings.heartbeat_every)
        platform.tasks.append(beating.run)
    keys = KeySource(settings.jwks)
    keys.check()
    verifier = Verifier(settings.token_issuer, settings.token_audience, keys)
    app = api("Rogatory notifier", platform.routes())
    acks = Acks(posts, moving, notices.store)
    add_notices(app, verifier, notices.store, acks)
    add_quarantine(app, verifier, platform.desk)

    def shown(notice: NoticeView, language: str) -> tuple[str, str]:
        sentence, spoken = fanout.sentence(notice, language)
        return wording.of(spoken).plain(sentence, notice.facts, notice.due), spoken

    add_page(app, Page(links, notices.store, acks, places.language, roster.zone, shown), links)
    technical = TechnicalAlerts(fanout, posts, notices.now, moving, climbing.heard)

    async def take(alerts: Sequence[Technical]) -> None:
        await known()
        await technical.take(alerts)

    add_alertmanager(app, verifier, take, platform.metrics.registry)
    lacks, check_url = channels_open.lacking(settings), channels_open.check_url(settings)
    lists.add_routes(app, verifier, check_url, lacks, sending.send_test)
    return app


def _once(known: Task, run: Task) -> Task:
    """Run as soon as it is known who the recipients are: before that, every subscription would seem to be gone."""

    async def waiting() -> None:
        await known()
        await run()

    return waiting


def _hear(platform: Platform, fanout: Fanout, moving: Moving, climbing: Following, delivery: Delivery) -> list[str]:
    """Read the topics; the groups that read what the auditor reads too."""
    hear, notices = platform.kafka.subscribe, climbing.notices
    read = handlers.on_event(fanout, handlers.doing(platform.life))
    groups = []

    async def enrich(messages: Sequence[Message]) -> Sequence[Message]:
        return delivery.claiming(await moving.enrich(messages))

    for lane, more in ((Lane.NORMAL, []), (Lane.URGENT, [topics.ALERTS_RAISED])):
        told = [topics.case_events(lane), *more]
        groups.append(hear("events", lane, told, read, notices, enrich=enrich, heard=climbing.heard))
    if said := [topics.acknowledgements_of(name) for name in platform.partners.subscribers]:
        # People wait for it to stop.
        read_said = on_acknowledgement(platform.ids)
        hear("acknowledgements", Lane.URGENT, said, read_said, notices, enrich=moving.enrich)
    return groups
