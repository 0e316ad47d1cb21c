"""The router, put together: letters and updates in, cases out, clocks and links beside. No I/O here."""

from services.router import domain, handlers
from services.router.api import Cases, build_api
from services.router.settings import RouterSettings
from shared import topics
from shared.posts import Posts
from shared.service import ASGI, Platform
from shared.tokens import KeySource, Verifier
from shared.vocabulary import DESK, Lane


def build(platform: Platform, settings: RouterSettings) -> ASGI:
    """Subscribe to both lanes of letters and of every authority's updates, over one loop of cases."""
    rules = domain.Rules(platform.law, platform.life, platform.ids)
    cases = platform.loop("cases", domain.decide_by(rules), domain.evolve, INDEXES)
    authorities = (*platform.law.authorities, DESK)
    for lane in Lane:
        read = handlers.on_letter(platform.ids)
        platform.kafka.subscribe("letters", lane, [topics.letters_received(lane)], read, cases)
        said = [topics.updates_from(authority, lane) for authority in authorities]
        platform.kafka.subscribe("updates", lane, said, handlers.on_update(platform.life, platform.ids), cases)
    posts = Posts(cases)
    platform.tasks.append(posts.run)
    keys = KeySource(settings.jwks)
    keys.check()
    verifier = Verifier(settings.token_issuer, settings.token_audience, keys)
    view = Cases(cases.store, platform.sealer, rules, platform.time.now)
    return build_api(view, posts, rules, verifier, platform.routes(), "Rogatory router")


INDEXES = (
    {"keys": [("state.authority", 1), ("state.received_at", 1), ("_id", 1)], "name": "authority"},
    {"keys": [("state.received_at", 1), ("_id", 1)], "name": "received"},
    {"keys": [("state.refs", 1)], "name": "refs"},
)
