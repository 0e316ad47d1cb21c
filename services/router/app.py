"""The router, put together: two lanes of letters in, cases out. No I/O here."""

from services.router import domain, handlers
from services.router.settings import RouterSettings
from shared import topics
from shared.http import api
from shared.service import ASGI, Platform
from shared.vocabulary import Lane


def build(platform: Platform, _settings: RouterSettings) -> ASGI:
    """Subscribe to both lanes of letters over one loop of cases."""
    cases = platform.loop("cases", domain.decide_by(platform.law), domain.evolve, INDEXES)
    for lane in Lane:
        read = handlers.on_letter(platform.ids)
        platform.kafka.subscribe("letters", lane, [topics.letters_received(lane)], read, cases)
    return api("Rogatory router", platform.routes())


INDEXES = ({"keys": [("state.authority", 1), ("state.received_at", 1)], "name": "authority"},)
