"""The intake's settings."""

from shared.settings import Port, Settings


class IntakeSettings(Settings):
    """As every service, and who may file; see `shared.settings`."""

    port: Port = 8001
    jwks: str
    """The issuer's public keys: a file or an http(s) address of a JWKS (RFC 7517)."""
    token_issuer: str
    token_audience: str
