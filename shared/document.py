"""The OpenAPI document of a service: FastAPI's own, what routes add to it by hand, and the whole of it mended."""

from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI

Document = dict[str, Any]
Addition = Callable[[Document], None]

BEARER = "bearer"
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


class Api(FastAPI):
    """An application whose document can be added to."""

    def __init__(self, title: str) -> None:
        super().__init__(title=title, version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
        self.additions: list[Addition] = []
        """What changes the document, in this order."""

    def openapi(self) -> Document:
        """The document, made once."""
        if self.openapi_schema is None:
            whole = super().openapi()
            for add in self.additions:
                add(whole)
            mend(whole)
        return self.openapi_schema or {}


def mend(whole: Document) -> None:
    """Say that every operation needs a token, and that no parameter is null: neither a query nor a path carries one."""
    schemes = whole.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes[BEARER] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    whole["security"] = [{BEARER: []}]
    for operation in all_operations(whole):
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _without_null(parameter["schema"])


def null_is_left_out(schema: Any) -> Any:
    """The schema of what is read without its null members: whatever may be left out may be null too."""
    if isinstance(schema, list):
        return [null_is_left_out(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: null_is_left_out(value) for name, value in schema.items()}
    needed = made.get("required", ())
    for kind in ("properties", "patternProperties"):
        for name, one in made.get(kind, {}).items():
            if name not in needed:
                made[kind][name] = _or_null(one)
    return made


def _or_null(schema: Document) -> Document:
    if {"type": "null"} in schema.get("anyOf", ()):
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def all_operations(whole: Document) -> Iterator[Document]:
    """Every operation of a document."""
    for path in whole["paths"].values():
        yield from (operation for method, operation in path.items() if method in _METHODS)


def _without_null(schema: Document) -> Document:
    """The same without the choice of null, which FastAPI gives to every parameter that may be left out."""
    choices = schema.get("anyOf")
    if choices is None:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    left = [one for one in choices if one != {"type": "null"}]
    return rest | (left[0] if len(left) == 1 else {"anyOf": left})
