"""The closed lists of the product's own words: direction, urgency, channel, lane.

Authorities, request types, field names and treaty bases are not here: they come from the law file.
"""

from enum import StrEnum


class Direction(StrEnum):
    """Whether the letter comes from abroad or goes abroad."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"


class Urgency(StrEnum):
    """How soon the sender asks for help; `emergency` is a risk to life (UNCC article 2(o))."""

    NORMAL = "normal"
    URGENT = "urgent"
    EMERGENCY = "emergency"


class Channel(StrEnum):
    """The way by which the letter came or is to go."""

    CONTACT_POINT = "24/7"
    INTERPOL = "interpol"
    DIPLOMATIC = "diplomatic"
    CENTRAL_AUTHORITY = "central-authority"
    E_MAIL = "e-mail"
    PHONE = "phone"
    POST = "post"


class Lane(StrEnum):
    """The two queues of every topic that carries cases; fixed when a case opens."""

    NORMAL = "normal"
    URGENT = "urgent"


DESK = "desk"
"""The actor who works what the law gives to nobody; every law has it, so the word is the product's own."""
