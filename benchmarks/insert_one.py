"""The usual way to take a letter: Starlette, the same token check, one `insert_one` (majority, journal) a request."""

import os

import orjson
import uvicorn
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import WriteConcern
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.letters import PATH
from deploy.local.keys import AUDIENCE, ISSUER
from deploy.local.ports import HOST
from shared import times
from shared.tokens import KeySource, Verifier


def build() -> Starlette:
    """One route over one collection."""
    verifier = Verifier(ISSUER, AUDIENCE, KeySource(os.environ["BENCH_JWKS"]))
    client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(os.environ["BENCH_MONGO"], maxPoolSize=200)
    safe = WriteConcern("majority", j=True)
    letters = client[os.environ["BENCH_DATABASE"]].get_collection("letters", write_concern=safe)

    async def post_letter(request: Request) -> JSONResponse:
        caller = await verifier.verify(request.headers.get("authorization"), "letters:write", times.now())
        letter = orjson.loads(await request.body())
        letter["_id"] = f"{caller.agency}/{letter['reference']}"
        letter["received_at"] = times.text_of(times.now())
        await letters.insert_one(letter)
        return JSONResponse({"id": letter["_id"], "received_at": letter["received_at"]}, 202)

    return Starlette(routes=[Route(PATH, post_letter, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(
        build(),
        host=HOST,
        port=int(os.environ["BENCH_PORT"]),
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
