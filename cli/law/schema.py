"""The JSON Schema of law files, by which an editor completes and checks while somebody types."""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from shared.law.text import LawText

ABOUT = (
    "The law of one State on competence for letters of request, as data. Generated from the program that reads it; "
    "what a schema cannot say (unknown names, gaps, overlaps) is told by `rogatory law check`."
)
READABLE: dict[str, dict[str, Any]] = {
    "date": {"description": "A day, such as 2026-02-23.", "pattern": r"^(19|20|21)\d\d-\d\d-\d\d$"},
    "zoneinfo": {"description": "A zone of the IANA time zone database, such as Asia/Baku.", "examples": ["Asia/Baku"]},
}
"""What people are told of a text that has a form of its own."""


def law_schema() -> dict[str, Any]:
    """The schema of a whole law file, in draft 2020-12."""
    generated = LawText.model_json_schema(by_alias=True)
    articles = generated["$defs"]["RequestType"]["properties"]["article"]
    generated["$defs"]["RequestType"]["properties"]["article"] = {"anyOf": [articles["items"], articles]}
    return {"$schema": GenerateJsonSchema.schema_dialect, **_readable(generated), "title": "Law", "description": ABOUT}


def law_schema_text() -> str:
    """The schema as it stands in the docs."""
    return json.dumps(law_schema(), indent=2, ensure_ascii=False) + "\n"


def _readable(node: Any) -> Any:
    """The schema as the reader of files means it, without the titles that pydantic makes of names.

    What may be left out is left out, never `null`; a table has no other keys than those of its pattern.
    """
    if isinstance(node, list):
        return [_readable(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {name: value for name, value in node.items() if not (name == "title" and isinstance(value, str))}
    if kept.get("default", "") is None and "anyOf" in kept:
        del kept["default"]
        (kept,) = (one for one in kept["anyOf"] if one != {"type": "null"})
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    form = kept.get("format")
    told: dict[str, Any] = READABLE.get(form, {}) if isinstance(form, str) else {}
    if form == "zoneinfo":
        del kept["format"]
    return {**{name: _readable(value) for name, value in kept.items()}, **told}
