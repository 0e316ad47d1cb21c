"""The intake's settings."""

from typing import Annotated

from pydantic import AfterValidator

from shared.settings import Port, Settings, is_address


def _file_or_address(value: str) -> str:
    """An address must be one at the start: later, the keys would only seem to be away."""
    if value.startswith(("http://", "https://")) and not is_address(value):
        raise ValueError("must be a file, or an address like https://host/...")
    return value


class IntakeSettings(Settings):
    """As every service, and who may file; see `shared.settings`."""

    port: Port = 8001
    jwks: Annotated[str, AfterValidator(_file_or_address)]
    """The issuer's public keys: a file or an http(s) address of a JWKS (RFC 7517)."""
    token_issuer: str
    token_audience: str
