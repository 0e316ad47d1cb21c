"""The intake's settings."""

from typing import Annotated

from pydantic import Field

from shared.limits import CONTRACT, SMALLEST, Limits
from shared.settings import CallerSettings, Port


class IntakeSettings(CallerSettings):
    """As every service, who may file, and how much; see `shared.settings` and `docs/limits.md`."""

    port: Port = 8001
    rate_per_agency: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 300.0
    """Letters and messages a second over HTTP, in each process; as many requests that read. 0: no limit."""
    max_letter_bytes: Annotated[int, Field(ge=SMALLEST.letter_bytes, le=CONTRACT.letter_bytes)] = CONTRACT.letter_bytes
    max_measures: Annotated[int, Field(ge=SMALLEST.measures, le=CONTRACT.measures)] = CONTRACT.measures
    max_attachments: Annotated[int, Field(ge=SMALLEST.attachments, le=CONTRACT.attachments)] = CONTRACT.attachments
    max_depth: Annotated[int, Field(ge=SMALLEST.depth, le=CONTRACT.depth)] = CONTRACT.depth
    max_batch_lines: Annotated[int, Field(ge=SMALLEST.batch_lines, le=CONTRACT.batch_lines)] = CONTRACT.batch_lines
    max_batch_bytes: Annotated[int, Field(ge=SMALLEST.batch_bytes, le=CONTRACT.batch_bytes)] = CONTRACT.batch_bytes

    @property
    def limits(self) -> Limits:
        """How large a letter may be here."""
        return Limits(
            self.max_letter_bytes,
            self.max_measures,
            self.max_attachments,
            self.max_depth,
            self.max_batch_lines,
            self.max_batch_bytes,
        )
