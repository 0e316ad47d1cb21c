"""The intake's settings."""

from shared.settings import CallerSettings, Port


class IntakeSettings(CallerSettings):
    """As every service, and who may file; see `shared.settings`."""

    port: Port = 8001
