"""The router's settings."""

from shared.settings import Settings


class RouterSettings(Settings):
    """As every service; see `shared.settings`."""

    port: int = 8002
