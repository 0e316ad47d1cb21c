"""HTTP, as every service speaks it: OpenAPI, problem details for every error, who the caller is."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from shared import problems, times
from shared.bad_letter import in_our_words
from shared.document import Api
from shared.failures import TryAgain, place_of
from shared.log import logger
from shared.problems import MEDIA_TYPE, Problem, ProblemError
from shared.tokens import Caller, Verifier
from shared.under_way import CALLER

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
        "rule": {"type": "string", "description": "of a rejected update: the rule that forbids it"},
        "basis": {"type": "array", "items": {"type": "string"}, "description": "on what the rule rests"},
        "allowed": {"type": "array", "items": {"type": "string"}, "description": "what could be said now"},
        "case_status": {"type": "string", "description": "the status as it stands, unchanged"},
    },
}
"""The schema of every problem, for the OpenAPI documents."""


_SECONDS = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 0}}}
_HEADERS: Mapping[int, Mapping[str, Any]] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}},
    415: {"Accept": {"required": True, "schema": {"type": "string"}}},
    429: _SECONDS,
    503: _SECONDS,
}
"""What stands beside a problem of this status."""


def documented(told: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The problems of a route by status, each with what it says, as an OpenAPI document has them."""
    body = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {
        status: {"description": says, **body} | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
        for status, says in told.items()
    }


PROBLEMS = documented(
    {401: "Not authorized", 403: "Forbidden", 404: "Not found", 422: "Bad parameters", 503: "Not available"}
)
"""What any route that reads may answer."""


async def caller_of(request: Request, verifier: Verifier, scope: str) -> Caller:
    """Who calls, with a token that has a scope; from now on what comes of the body is this caller's.

    Raises `ProblemError` as `Verifier.verify` does.
    """
    caller = await verifier.verify(request.headers.get("authorization"), scope, times.now())
    request.scope[CALLER] = caller.name
    return caller


def answer(problem: Problem) -> Response:
    """A problem as a response (RFC 9457)."""
    return Response(problem.body(), problem.status, dict(problem.headers), MEDIA_TYPE)


def api(title: str, routes: Sequence[BaseRoute]) -> Api:
    """A FastAPI application whose every error is a problem, with `/openapi.json` and the given routes."""
    app = Api(title)
    app.router.routes.extend(routes)

    def add_problem(whole: dict[str, Any]) -> None:
        whole.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM

    app.additions.append(add_problem)

    @app.exception_handler(ProblemError)
    async def on_problem(_request: Request, error: ProblemError) -> Response:
        return answer(error.problem)

    @app.exception_handler(TryAgain)
    async def on_try_again(_request: Request, _error: TryAgain) -> Response:
        return answer(problems.unavailable())

    @app.exception_handler(ClientDisconnect)
    async def on_gone(_request: Request, _error: ClientDisconnect) -> Response:
        return answer(problems.unavailable())  # nobody hears it

    @app.exception_handler(RequestValidationError)
    async def on_bad_request(_request: Request, error: RequestValidationError) -> Response:
        return answer(problems.bad_request(in_our_words(error.errors())))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return answer(problems.not_found())
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = _allowed(app.router.routes, request.scope)
        return answer(problems.of_status(error.status_code, headers))

    @app.exception_handler(Exception)
    async def on_bug(_request: Request, error: Exception) -> Response:
        logger(part="http").error("bug", error=type(error).__name__, place=place_of(error))
        return answer(problems.internal())

    return app


def _allowed(routes: Sequence[BaseRoute], scope: Scope) -> str:
    """Every method that a path has (RFC 9110 section 15.5.6); Starlette names those of its first route alone."""
    there = [route for route in routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE]
    # A path that is written out is no other one's `{entry}` too.
    own = [route for route in there if route.path == scope["path"]] or there
    return ", ".join(sorted({method for route in own for method in route.methods or ()}))
