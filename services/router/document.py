"""What the OpenAPI document says of updates: one shape for each, made from the life cycle's own table."""

from collections.abc import Mapping
from typing import Any

from shared.document import null_is_left_out
from shared.life_cycle import LifeCycle, UpdateRule

_SCHEMAS = "#/components/schemas/"

ID = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "description": "The sender's own id of this update. Without one the same words are the same update "
    "until anybody says something else on the case.",
}


def request_body(life: LifeCycle) -> dict[str, Any]:
    """The body of an update: one of the shapes, told apart by `update`."""
    names = {name: f"{_SCHEMAS}{_schema_name(name)}" for name in said_by_callers(life)}
    shape = {
        "oneOf": [{"$ref": place} for place in names.values()],
        "discriminator": {"propertyName": "update", "mapping": names},
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": shape}}}}


def schemas(life: LifeCycle) -> dict[str, Any]:
    """The components to which the request body points."""
    found: dict[str, Any] = {}
    for name, rule in said_by_callers(life).items():
        schema = rule.model.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        found |= schema.pop("$defs", {})
        found[_schema_name(name)] = {
            "type": "object",
            "title": name,
            "description": f"{rule.text.says} By the {' or the '.join(_callers(rule))}.",
            "properties": {"update": {"const": name}, "id": ID, **schema.get("properties", {})},
            "required": ["update", *schema.get("required", [])],
            "additionalProperties": False,
        }
    return {name: null_is_left_out(schema) for name, schema in found.items()}


def said_by_callers(life: LifeCycle) -> Mapping[str, UpdateRule]:
    """The updates that authorities and the desk say; the others come from agencies and gateways, by intake."""
    return {name: rule for name, rule in life.updates.items() if _callers(rule)}


def _callers(rule: UpdateRule) -> list[str]:
    return [actor for actor in rule.text.by if actor in ("holder", "desk")]


def _schema_name(update: str) -> str:
    return f"{update.title().replace('_', '')}Update"
