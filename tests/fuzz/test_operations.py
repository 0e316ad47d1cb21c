"""A test of the test: what an API does wrong on purpose is found, and what it does right is not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from deploy.local.ports import HOST, free_ports
from deploy.local.processes import wait_until
from shared import problems
from shared.bad_letter import FieldError
from shared.bodies import json_in, typed
from shared.http import PROBLEMS, answer, api, documented
from shared.quarantine.forms import Said
from tests.fuzz.operations import Tried, tried

BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": Said.model_json_schema()}}}}
NOTHING: dict[str, str] = {}
MORE = documented({400: "Not JSON", 413: "Too large", 415: "Unsupported media type"})


def an_api() -> FastAPI:
    """One operation that keeps to the document, and several that do not."""
    app = api("On purpose", ())

    def known(request: Request) -> None:
        if request.headers.get("authorization") != "Bearer good":
            raise problems.ProblemError(problems.unauthorized("Send a bearer token."))

    async def read(request: Request) -> Said:
        known(request)
        return typed(await json_in(request, 10_000), Said)

    @app.post("/right", responses=PROBLEMS | MORE, openapi_extra=BODY)
    async def right(request: Request) -> dict[str, str]:
        return {"reason": (await read(request)).reason}

    @app.post("/fails", responses=PROBLEMS | MORE, openapi_extra=BODY)
    async def fails(request: Request) -> dict[str, str]:
        said = await read(request)
        return {"reason": said.reason if len(said.reason) < 3 else NOTHING["it is not there"]}

    @app.post("/lenient", responses=PROBLEMS | MORE, openapi_extra=BODY)
    async def lenient(request: Request) -> dict[str, str]:
        known(request)
        return {"reason": "whatever"}

    @app.post("/narrow", responses=PROBLEMS | MORE, openapi_extra=BODY)
    async def narrow(request: Request) -> Response:
        await read(request)
        return answer(problems.bad_request([FieldError("/reason", "We do not like it.")]))

    @app.post("/silent", responses=PROBLEMS | MORE, openapi_extra=BODY)
    async def silent(request: Request) -> Response:
        await read(request)
        return Response(status_code=418)

    @app.post("/open", responses=PROBLEMS | MORE, openapi_extra=BODY)
    async def opened(request: Request) -> dict[str, str]:
        return {"reason": typed(await json_in(request, 10_000), Said).reason}

    return app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Its address, until the block ends."""
    [port] = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the server's start", [])
    try:
        yield f"http://{HOST}:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def found() -> Tried:
    """What is found."""
    app = an_api()
    config: dict[str, Any] = {
        "generation": {"mode": "all", "max-examples": 25, "deterministic": True, "with-security-parameters": False},
        "phases": {"coverage": {"enabled": False}, "stateful": {"enabled": False}},
    }
    with served(app) as url:
        return tried(app.openapi(), url, "good", config, lambda _: None)


@pytest.mark.parametrize(
    ("operation", "check"),
    [
        ("/fails", "not_a_server_error"),
        ("/lenient", "negative_data_rejection"),
        ("/narrow", "positive_data_acceptance"),
        ("/silent", "status_code_conformance"),
        ("/open", "ignored_auth"),
    ],
)
def test_what_is_wrong_on_purpose_is_found(found: Tried, operation: str, check: str) -> None:
    assert any(what.startswith(f"POST {operation}: {check}") for what in found.failures), [*found.failures]


def test_what_is_right_is_not_found_wrong(found: Tried) -> None:
    assert [what for what in found.failures if what.startswith("POST /right")] == []
    assert {200, 401, 422} <= found.statuses["POST /right"].keys()
