"""The router's settings."""

from shared.settings import Port, Settings


class RouterSettings(Settings):
    """As every service; see `shared.settings`."""

    port: Port = 8002
