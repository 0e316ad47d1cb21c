"""`POST /v1/alertmanager`: technical alerts, as Alertmanager's webhook (version 4) posts them, reach the same people.

Labels and annotations may hold anything, so two of them are looked at and no text is kept: the alert's name, where it
is like a name, and its severity, where it is one that we know.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import orjson
from fastapi import Depends, FastAPI, Request
from prometheus_client import CollectorRegistry, Counter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from shared import problems, times
from shared.bodies import JSON, json_in, typed
from shared.http import PROBLEMS, caller_of, documented
from shared.moment import Moment
from shared.posts import QueueFull
from shared.problems import ProblemError
from shared.tokens import Verifier

PATH = "/v1/alertmanager"
SCOPE = "alerts:write"
MOST_BYTES = 1024 * 1024
OURS = ("rogatory", "notice")
"""The label, and its value, of an alert that we posted ourselves: if it comes back, it is known already."""
TRUNCATED = "alerts-truncated"
"""What stands for the alerts that Alertmanager has left out."""
SEVERITIES = ("critical", "error", "warning", "info")
UNNAMED, NO_SEVERITY = "unnamed", "none"

FINGERPRINT = "^[0-9a-f]{1,64}$"
_NAME = re.compile(r"[A-Za-z0-9_:.-]{1,100}")
_Status = Literal["firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Technical:
    """One alert of Alertmanager's, without the text of its labels."""

    fingerprint: str
    starts_at: datetime
    firing: bool
    alertname: str
    severity: str
    labels: str
    """The SHA-256 of its labels: two alerts with other labels are told apart."""


Take = Callable[[Sequence[Technical]], Awaitable[None]]
"""Keeps them before it returns; raises `TryAgain` or `QueueFull`, and Alertmanager posts them again."""


class _Member(BaseModel):
    # Alertmanager adds members within a version, and templates add labels.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


class Alert(_Member):
    """One alert in a group."""

    status: _Status
    labels: dict[str, str]
    starts_at: Annotated[Moment, Field(alias="startsAt")]
    fingerprint: Annotated[str, StringConstraints(pattern=FINGERPRINT)]

    @property
    def is_ours(self) -> bool:
        """Whether we posted it ourselves."""
        name, value = OURS
        return self.labels.get(name) == value

    def without_text(self) -> Technical:
        """What of it we keep."""
        name, severity = self.labels.get("alertname", ""), self.labels.get("severity", "").lower()
        return Technical(
            self.fingerprint,
            self.starts_at,
            self.status == "firing",
            name if _NAME.fullmatch(name) else UNNAMED,
            severity if severity in SEVERITIES else NO_SEVERITY,
            hashlib.sha256(orjson.dumps(self.labels, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        )


class Group(_Member):
    """What Alertmanager posts: a group of alerts."""

    version: str
    status: _Status
    group_key: Annotated[str, Field(alias="groupKey")]
    truncated: Annotated[int, Field(alias="truncatedAlerts", ge=0)] = 0
    alerts: list[Alert]

    @field_validator("version")
    @classmethod
    def is_known(cls, version: str) -> str:
        """Another version may mean something else by the same names."""
        if version != "4":
            raise PydanticCustomError("ours", "Must be 4: no other version of the webhook is known here.")
        return version

    def left_out(self, now: datetime) -> Technical:
        """The alert that some were left out: the same one as long as the group's oldest alert is."""
        key = hashlib.sha256(f"{TRUNCATED} {self.group_key}".encode("utf-8", "surrogatepass")).hexdigest()
        since = min((alert.starts_at for alert in self.alerts), default=now)
        return Technical(key[:16], since, True, TRUNCATED, "critical", key)


NAMES = frozenset(
    field.alias for model in (Group, Alert) for field in model.model_fields.values() if field.alias is not None
)
"""What Alertmanager calls members otherwise than we do."""


class Taken(BaseModel):
    """The answer: how many are in safe keeping, and how many were our own."""

    taken: int
    ours: int


def add_alertmanager(app: FastAPI, verifier: Verifier, take: Take, registry: CollectorRegistry) -> None:
    """The route, and the metric of what came by it."""
    heard = Counter(
        "rogatory_technical_alerts_total",
        "Alerts that Alertmanager posted: taken, or our own that came back.",
        ("outcome",),
        registry=registry,
    )
    for outcome in ("taken", "ours"):
        heard.labels(outcome)

    async def may_write(request: Request) -> None:
        await caller_of(request, verifier, SCOPE)

    @app.post(
        PATH,
        dependencies=[Depends(may_write)],
        responses=PROBLEMS | _MORE,
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": _SCHEMA}}}},
    )
    async def post_alerts(request: Request) -> Taken:
        """Alertmanager's webhook, version 4: `webhook_configs` with a bearer token."""
        group = typed(await json_in(request, MOST_BYTES), Group, ("labels",), NAMES)
        technical = [alert.without_text() for alert in group.alerts if not alert.is_ours]
        ours = len(group.alerts) - len(technical)
        if group.truncated:
            technical.append(group.left_out(times.now()))
        try:
            if technical:
                await take(technical)
        except QueueFull:
            raise ProblemError(problems.queue_full()) from None
        heard.labels("taken").inc(len(technical))
        heard.labels("ours").inc(ours)
        return Taken(taken=len(technical), ours=ours)


_MORE = documented({400: "Not JSON", 413: "Too large", 415: "Unsupported media type"})
_SCHEMA = {
    "type": "object",
    "required": ["version", "status", "groupKey", "alerts"],
    "properties": {
        "version": {"const": "4"},
        "status": {"enum": ["firing", "resolved"]},
        "groupKey": {"type": "string"},
        "truncatedAlerts": {"type": "integer", "minimum": 0},
        "alerts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["status", "labels", "startsAt", "fingerprint"],
                "properties": {
                    "status": {"enum": ["firing", "resolved"]},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "startsAt": {"type": "string", "format": "date-time"},
                    "fingerprint": {"type": "string", "pattern": FINGERPRINT},
                },
            },
        },
    },
}
