"""The router's settings."""

from shared.settings import CallerSettings, Port


class RouterSettings(CallerSettings):
    """As every service, and who may read cases and say what was done; see `shared.settings`."""

    port: Port = 8002
