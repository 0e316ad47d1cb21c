"""The notifier's settings."""

from pathlib import Path

from pydantic import Field

from services.notifier.webhook import Target
from shared.settings import Settings


class NotifierSettings(Settings):
    """As every service, and where notices go; see `shared.settings`."""

    port: int = 8003
    alerts: Path = Path("alerts.yaml")
    webhooks: dict[str, Target] = Field(default_factory=dict)
    """JSON: subscriber -> {"url": "https://...", "secret": "whsec_..."}."""
    webhooks_allow_http: bool = False
    """For the local stack only."""
