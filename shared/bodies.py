"""What callers send: JSON, and not too much of it."""

from collections.abc import Collection
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from shared import problems
from shared.bad_letter import BadLetter, FieldError, in_our_words
from shared.problems import ProblemError

JSON = "application/json"

Body = TypeVar("Body", bound=BaseModel)


async def json_in(request: Request, most: int) -> bytes:
    """The body; 415 where it is something else than JSON, 413 as soon as it is known to be over the limit."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > most:
            raise ProblemError(problems.too_large(f"The body has at most {most} bytes."))
    if raw and request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise ProblemError(problems.unsupported_media_type((JSON,)))
    return bytes(raw)


def typed(
    raw: bytes, model: type[Body], names_of_theirs: Collection[str] = (), names_of_ours: Collection[str] = ()
) -> Body:
    """The body as its model; 400 for no JSON, 422 with every bad field.

    `names_of_theirs`: members whose own members have names that the caller chose, which are not repeated;
    `names_of_ours`: members that pointers may name though they are not written like most, such as `groupKey`.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        not_json = FieldError("", "The body is not JSON: send one JSON object.")
        raise ProblemError(problems.bad_letter(BadLetter(400, (not_json,))))
    for one in found:
        ours = [place for place, part in enumerate(one["loc"]) if part in names_of_theirs]
        one["loc"] = one["loc"][: ours[0] + 1] if ours else one["loc"]
    raise ProblemError(problems.bad_request(in_our_words(found, names_of_ours)))


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The body of a route, for the OpenAPI document."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def inlined(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return inlined(parts[node["$ref"].rpartition("/")[2]])
            return {name: inlined(value) for name, value in node.items()}
        return [inlined(one) for one in node] if isinstance(node, list) else node

    return {"requestBody": {"required": required, "content": {JSON: {"schema": inlined(schema)}}}}
