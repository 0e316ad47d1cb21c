"""The intake, put together: letters and messages by HTTP and Kafka, news of cases, answers. No I/O here."""

from collections.abc import MutableMapping
from typing import Any

from starlette.routing import Route

from services.intake import domain, handlers
from services.intake.api import Letters, build_api
from services.intake.domain.accounts import terms_by
from services.intake.door import PATH, Door, Receive, Send
from services.intake.messages_api import MessagesDoor
from services.intake.settings import IntakeSettings
from shared import topics
from shared.letter_message import check_messages
from shared.posts import Posts
from shared.quarantine.api import add_quarantine
from shared.rates import Rates
from shared.service import ASGI, Platform
from shared.tokens import KeySource, Verifier
from shared.vocabulary import Lane


def build(platform: Platform, settings: IntakeSettings) -> ASGI:
    """Two doors over one loop of letters; it is ready while Kafka is down."""
    platform.needs_kafka = False
    agencies, known_types, ids = platform.partners.agencies, frozenset(platform.law.request_types), platform.ids
    life = platform.life
    check_messages(life)
    letters = platform.loop("letters", domain.decide_by(platform.law), domain.evolve, INDEXES, terms_by(life.ends))
    for lane in Lane:
        read = handlers.on_letter(agencies, known_types, ids, life, settings.limits)
        entrances = [topics.letters_from(agency, lane) for agency in agencies]
        platform.kafka.subscribe("letters", lane, entrances, read, letters)
        platform.kafka.subscribe("cases", lane, [topics.case_events(lane)], handlers.on_case, letters)
        due = handlers.on_answer_due(agencies, life)
        platform.kafka.subscribe("answers", lane, [topics.answers_due(lane)], due, letters)
    posts = Posts(letters)
    platform.tasks.append(posts.run)
    keys = KeySource(settings.jwks)
    keys.check()
    verifier = Verifier(settings.token_issuer, settings.token_audience, keys)
    # Who asks for its letters again and again must not hinder its own filing.
    filing, reading = Rates(settings.rate_per_agency), Rates(settings.rate_per_agency)
    door = Door(verifier, agencies, known_types, ids, posts, filing, settings.limits)
    messages = MessagesDoor(agencies, life, ids, posts, filing, settings.limits)
    reader = Letters(letters.store, ids, platform.sealer)
    pages = build_api(reader, messages, verifier, reading, platform.routes(), known_types)
    add_quarantine(pages, verifier, platform.desk)
    # Never reached: it stands there so that what is refused on this path names the method.
    pages.router.routes.append(Route(PATH, door, methods=["POST"], include_in_schema=False))

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == PATH:
            await door(scope, receive, send)
        else:
            await pages(scope, receive, send)  # type: ignore[arg-type]  # the same ASGI, in Starlette's types

    return app


INDEXES = ({"keys": [("context.agency", 1), ("state.received_at", 1), ("_id", 1)], "name": "agency"},)
