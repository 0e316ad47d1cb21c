"""The router, put together: letters and updates in, cases out, clocks and links beside. No I/O here."""

from functools import partial

from services.router import domain, handlers, linking, ticking
from services.router.api import Cases, build_api
from services.router.domain.accounts import terms_by
from services.router.domain.checks import check_life_cycle
from services.router.holding import Holding
from services.router.settings import RouterSettings
from shared import topics
from shared.horizon import EVERY, Horizon
from shared.platform import Platform
from shared.posts import Posts
from shared.quarantine.api import add_quarantine
from shared.service import ASGI
from shared.tokens import KeySource, Verifier
from shared.vocabulary import DESK, Lane


def build(platform: Platform, settings: RouterSettings) -> ASGI:
    """Subscribe to both lanes of letters and of every authority's updates, over one loop of cases."""
    check_life_cycle(platform.life)
    rules = domain.Rules(platform.law, platform.life, platform.ids)
    cases = platform.loop("cases", domain.decide_by(rules), domain.evolve, INDEXES, terms_by(platform.life.ends))
    links = linking.Linking(cases, platform.law, platform.ids)
    authorities = (*platform.law.authorities, DESK)
    on_letter, on_update = handlers.on_letter(platform.ids), handlers.on_update(platform.life, platform.ids)
    subscribe = partial(platform.kafka.subscribe, commit_every=EVERY)  # clocks wait for what is committed
    groups: dict[str, list[str]] = {}
    for lane in Lane:
        letters, updates = [topics.letters_received(lane)], [topics.updates_from(one, lane) for one in authorities]
        groups[subscribe("letters", lane, letters, on_letter, cases, enrich=links.enrich, heard=links.heard)] = letters
        groups[subscribe("updates", lane, updates, on_update, cases)] = updates
    horizon = Horizon(settings.kafka, f"rogatory-router-{settings.instance}", groups, platform.time, platform.metrics)
    clocks = ticking.Ticking(cases, horizon, platform.time, platform.metrics)
    posts = Posts(cases)
    platform.tasks += [posts.run, horizon.run, clocks.run, links.run, Holding(cases, rules).run]
    keys = KeySource(settings.jwks)
    keys.check()
    verifier = Verifier(settings.token_issuer, settings.token_audience, keys)
    view = Cases(cases.store, platform.sealer, rules, platform.time.now)
    app = build_api(view, posts, rules, verifier, platform.routes(), "Rogatory router")
    add_quarantine(app, verifier, platform.desk)
    return app


INDEXES = (
    {"keys": [("state.authority", 1), ("state.received_at", 1), ("_id", 1)], "name": "authority"},
    {"keys": [("state.received_at", 1), ("_id", 1)], "name": "received"},
    # The authority stands in it, so that nobody else's are fetched.
    {
        "keys": [("state.status", 1), ("state.received_at", 1), ("_id", 1), ("state.authority", 1)],
        "name": "status",
    },
    {
        "keys": [("state.received_at", 1), ("_id", 1), ("state.authority", 1)],
        "name": "overdue",
        "partialFilterExpression": {"state.clocks.missed_at": {"$exists": True}},
    },
    *linking.INDEXES,
    ticking.INDEX,
    Holding.INDEX,
)
