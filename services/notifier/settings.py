"""The notifier's settings."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from services.notifier.webhook import Target
from shared.settings import Port, Settings


def _decoded(value: Any) -> Any:
    """The JSON of a setting; pydantic's own complaint would be no sentence for the operator."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("it is not JSON") from None


class NotifierSettings(Settings):
    """As every service, and where notices go; see `shared.settings`."""

    port: Port = 8003
    alerts: Path = Path("alerts.yaml")
    webhooks: Annotated[dict[str, Target], NoDecode, BeforeValidator(_decoded)] = Field(default_factory=dict)
    """JSON: subscriber -> {"url": "https://...", "secret": "whsec_..."}."""
    webhooks_allow_http: bool = False
    """For the local stack only."""
