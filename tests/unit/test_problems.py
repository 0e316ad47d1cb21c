"""Problem details: their shape, and what each kind tells the caller."""

import json

import pytest

from shared import problems
from shared.letter import BadLetter, FieldError
from shared.problems import Problem, ProblemError

BAD = BadLetter(422, (FieldError("/party", "Must be a State."), FieldError("", "Must be an object.")))


@pytest.mark.parametrize(
    ("problem", "slug", "status"),
    [
        (problems.bad_letter(BAD), "bad-letter", 422),
        (problems.bad_letter(BadLetter(400, (FieldError("", "Is not in UTF-8."),))), "not-json", 400),
        (problems.bad_letter(BadLetter(413, (FieldError("", "Too many bytes."),))), "too-large", 413),
        (problems.too_large(), "too-large", 413),
        (problems.unsupported_media_type(["application/json"]), "unsupported-media-type", 415),
        (problems.unauthorized("The token has expired."), "unauthorized", 401),
        (problems.forbidden("letters:write"), "forbidden", 403),
        (problems.not_found(), "not-found", 404),
        (problems.conflict(["/party"]), "conflict", 409),
        (problems.queue_full(), "queue-full", 503),
        (problems.unavailable(), "unavailable", 503),
        (problems.internal(), "internal", 500),
    ],
)
def test_a_problem_says_what_rfc_9457_asks_for(problem: Problem, slug: str, status: int) -> None:
    body = json.loads(problem.body())

    assert (body["type"], body["status"], problem.status) == (f"urn:rogatory:problem:{slug}", status, status)
    assert body["title"]
    assert body["detail"].endswith(".")


def test_each_bad_field_is_told() -> None:
    assert json.loads(problems.bad_letter(BAD).body())["errors"] == [
        {"pointer": "/party", "detail": "Must be a State."},
        {"pointer": "", "detail": "Must be an object."},
    ]


def test_a_conflict_names_the_fields_that_differ() -> None:
    assert json.loads(problems.conflict(["/party"]).body())["errors"][0]["pointer"] == "/party"


def test_headers_tell_when_to_come_again_and_how_to_show_who_one_is() -> None:
    assert dict(problems.queue_full(7).headers) == {"Retry-After": "7"}
    assert dict(problems.unavailable().headers) == {"Retry-After": "10"}
    assert dict(problems.unauthorized("No.").headers)["WWW-Authenticate"].startswith('Bearer realm="rogatory", error=')
    assert dict(problems.unauthorized("No.", presented=False).headers) == {
        "WWW-Authenticate": 'Bearer realm="rogatory"'
    }
    assert 'scope="letters:write"' in dict(problems.forbidden("letters:write").headers)["WWW-Authenticate"]


def test_the_exception_carries_the_problem() -> None:
    assert ProblemError(problems.not_found()).problem.status == 404
