"""What an HTTP caller is told when something is wrong: problem details (RFC 9457)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson

from shared.bad_letter import BadLetter, FieldError

MEDIA_TYPE = "application/problem+json"

BAD = "A parameter or a field is wrong: 'errors' says which, and what to send instead."

_REALM = 'Bearer realm="rogatory"'


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer that says what is wrong; it never repeats what the caller sent."""

    type: str
    """`urn:rogatory:problem:<slug>`: the part that programs read."""
    title: str
    status: int
    detail: str
    errors: tuple[FieldError, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    """Besides the content type: `Retry-After`, `WWW-Authenticate`."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Extension members (RFC 9457 section 3.2)."""

    def body(self) -> bytes:
        """The JSON of RFC 9457; `errors` stands in it only where there are some."""
        told = {"type": self.type, "title": self.title, "status": self.status, "detail": self.detail, **self.more}
        named = [{"pointer": error.pointer, "detail": error.detail} for error in self.errors]
        return orjson.dumps(told | ({"errors": named} if named else {}))


class ProblemError(Exception):
    """Raised where the caller must be told a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}")
        self.problem = problem


def bad_letter(bad: BadLetter) -> Problem:
    """400, 413 or 422: a letter that cannot be taken, with every bad field."""
    if bad.status == 413:
        return too_large(bad.errors[0].detail)
    if bad.status == 400:
        return _problem("not-json", "Not JSON", 400, bad.errors[0].detail)
    count = len(bad.errors)
    detail = "One field is wrong." if count == 1 else f"{count} fields are wrong."
    return _problem("bad-letter", "The letter has bad fields", bad.status, detail, bad.errors)


def too_large(detail: str = "The body is larger than is taken here.") -> Problem:
    """413: the body is over the limit."""
    return _problem("too-large", "Too large", 413, detail)


def unsupported_media_type(accepted: Iterable[str]) -> Problem:
    """415: the body is not in one of the media types that are taken here."""
    types = ", ".join(accepted)
    return _problem(
        "unsupported-media-type", "Unsupported media type", 415, f"Send one of {types}.", headers=(("Accept", types),)
    )


def unauthorized(detail: str, *, presented: bool = True) -> Problem:
    """401: no token, or not a good one (RFC 6750 section 3); without a token the challenge names no error."""
    challenge = f'{_REALM}, error="invalid_token", error_description="{detail}"' if presented else _REALM
    return _problem("unauthorized", "Not authorized", 401, detail, headers=(("WWW-Authenticate", challenge),))


def forbidden(scope: str) -> Problem:
    """403: the token is good, but does not carry the scope that this asks for."""
    challenge = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
    detail = f"The token does not have the scope {scope}."
    return _problem("forbidden", "Forbidden", 403, detail, headers=(("WWW-Authenticate", challenge),))


def another_agency(detail: str) -> Problem:
    """403: the token is good, but speaks for somebody else than this asks for."""
    return _problem("another-agency", "Another agency", 403, detail)


def rejected(data: Mapping[str, Any]) -> Problem:
    """409, or 422 for bad fields: an update that is forbidden now, with the rule and what would be allowed."""
    errors = tuple(FieldError(error["pointer"], error["detail"]) for error in data.get("errors", ()))
    more = {name: data[name] for name in ("rule", "basis", "allowed")} | {"case_status": data["status"]}
    slug, title, status = "update-rejected", "The update is forbidden", 422 if errors else 409
    return Problem(f"urn:rogatory:problem:{slug}", title, status, data["says"], errors, more=more)


def bad_request(errors: Iterable[FieldError]) -> Problem:
    """422: a parameter or a field is wrong; names each by where it stands."""
    return _problem("bad-parameters", "Bad parameters", 422, BAD, tuple(errors))


def of_status(status: int, headers: Mapping[str, str]) -> Problem:
    """Any other status that a framework answers with, such as 405."""
    phrase = HTTPStatus(status).phrase
    return _problem(f"http-{status}", phrase, status, f"{phrase}.", headers=tuple(headers.items()))


def not_found() -> Problem:
    """404: there is no such thing, or it is not the caller's; both look the same."""
    return _problem("not-found", "Not found", 404, "There is no such thing here for you.")


def conflict(pointers: Iterable[str]) -> Problem:
    """409: this reference was filed before with another content; names the fields that differ."""
    errors = tuple(FieldError(pointer, "Differs from what was filed before.") for pointer in pointers)
    detail = "A letter with this reference was filed before and says something else."
    return _problem("conflict", "Another letter has this reference", 409, detail, errors)


def used_id() -> Problem:
    """409: the sender said something else under this id before."""
    errors = (FieldError("/id", "Stands for another update of yours."),)
    return _problem(
        "conflict", "Another update has this id", 409, "This id was used before for another update.", errors
    )


def queue_full(retry_after: int = 5) -> Problem:
    """503: more is waiting than can be taken in; `retry_after` in seconds."""
    return _busy("queue-full", "Too much is waiting", "Too much is waiting here; send it again later.", retry_after)


def unavailable(retry_after: int = 10) -> Problem:
    """503: what we need is away; `retry_after` in seconds."""
    return _busy("unavailable", "Not available", "A server that this needs is away; send it again later.", retry_after)


def too_many(retry_after: int) -> Problem:
    """429 (RFC 6585): this caller comes faster than it may; `retry_after` in seconds."""
    detail = "More came from this caller than is taken in a second; send it again later."
    return _problem("too-many-requests", "Too many requests", 429, detail, headers=(("Retry-After", str(retry_after)),))


def too_slow() -> Problem:
    """408: the request did not come whole within its time."""
    return _problem("too-slow", "Too slow", 408, "The request did not come whole within its time; send it again.")


def head_too_large(limit: int) -> Problem:
    """431 (RFC 6585): the request's line and headers are over the limit."""
    detail = f"A request's line and headers have at most {limit} bytes together."
    return _problem("headers-too-large", "Headers too large", 431, detail)


def not_http() -> Problem:
    """400: no HTTP/1.1 request that can be read in one way alone (RFC 9112)."""
    return _problem("not-http", "Not HTTP", 400, "This is not a request of HTTP/1.1 that can be read in one way alone.")


def no_room(retry_after: int = 5) -> Problem:
    """503: there are more connections with a request under way than are taken; `retry_after` in seconds."""
    return _busy("no-room", "Too many connections", "Too many requests are under way here; come again.", retry_after)


def internal() -> Problem:
    """500: a bug of ours; what it was stands in our log and is not the caller's to read."""
    return _problem("internal", "Internal error", 500, "Something went wrong here; it is recorded.")


def _busy(slug: str, title: str, detail: str, retry_after: int) -> Problem:
    return _problem(slug, title, 503, detail, headers=(("Retry-After", str(retry_after)),))


def _problem(
    slug: str,
    title: str,
    status: int,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    headers: tuple[tuple[str, str], ...] = (),
) -> Problem:
    return Problem(f"urn:rogatory:problem:{slug}", title, status, detail, errors, headers)
