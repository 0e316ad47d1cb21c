"""The naive intake: one letter per post, kept and said; and what becomes of it, said to its agency."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.letters import PATH
from benchmarks.naive.common import CaseAssigned, broker, collection, ids, law, publish, subscriber
from deploy.local.keys import AUDIENCE, ISSUER
from deploy.local.ports import HOST
from shared import times, topics
from shared.letter import content_of, digest_of, parse_letter
from shared.tokens import KeySource, Verifier
from shared.vocabulary import Lane

verifier = Verifier(ISSUER, AUDIENCE, KeySource(os.environ["BENCH_JWKS"]))
types = frozenset(law().request_types)
letters = collection("letters")


async def post_letter(request: Request) -> JSONResponse:
    """Keep a letter, tell the router and the agency, answer."""
    caller = await verifier.verify(request.headers.get("authorization"), "letters:write", times.now())
    letter = parse_letter(await request.body(), types)
    agency, digest, received_at = str(caller.agency), digest_of(letter), times.text_of(times.now())
    letter_id = ids.letter(agency, letter.reference)
    receipt = {"id": letter_id, "reference": letter.reference, "received_at": received_at, "digest": digest}
    if await letters.find_one({"_id": letter_id}, {"digest": 1}):
        return JSONResponse(receipt, 200)
    content = content_of(letter)
    kept = {"letter": letter_id, "agency": agency, "received_at": received_at, "digest": digest, "content": content}
    await letters.insert_one({"_id": letter_id, "status": "received", "cases": [], "receipt": receipt, **kept})
    await asyncio.gather(
        publish(topics.letters_received(Lane.NORMAL), letter_id, "letter.received", letter_id, kept),
        publish(topics.answers_to(agency), letter_id, "answer.receipt", letter_id, receipt),
    )
    return JSONResponse(receipt, 202)


@subscriber(topics.case_events(Lane.NORMAL), "intake")
async def on_case(case: CaseAssigned) -> None:
    """Keep what became of a letter and tell its agency."""
    known = await letters.find_one({"_id": case.letter}, {"cases.case": 1})
    if known is None:
        return
    news = {"case": case.case, "type": case.type, "status": case.status, "authority": case.authority}
    news |= {"because": case.because, "certainty": case.certainty}
    await letters.update_one({"_id": case.letter, "cases.case": {"$ne": case.case}}, {"$push": {"cases": news}})
    await publish(topics.answers_to(case.agency), case.letter, "answer.status", case.case, news)


@asynccontextmanager
async def _lifespan(_app: Starlette) -> AsyncIterator[None]:
    await letters.create_index([("agency", 1), ("received_at", 1)])
    async with broker:
        await broker.start()
        yield


if __name__ == "__main__":
    app = Starlette(routes=[Route(PATH, post_letter, methods=["POST"])], lifespan=_lifespan)
    uvicorn.run(
        app, host=HOST, port=int(os.environ["BENCH_PORT"]), log_config=None, access_log=False, proxy_headers=False
    )
