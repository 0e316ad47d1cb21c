"""The letters that are measured: one measure, 1 KB, one case for the security service, one notice for operations."""

import json

AGENCY = "contact-point"
"""Who files them."""
AUTHORITY = "security-service"
"""Who gets their cases."""
SUBSCRIBER = "operations"
"""Who hears of them: the rule that catches all, by Kafka alone."""
PATH = "/v1/letters"
SIZE = 1024


def bodies(name: str, count: int, urgency: str = "normal") -> list[bytes]:
    """So many letters; the same name gives the same letters for ever."""
    return [body(name, number, urgency) for number in range(count)]


def body(name: str, number: int, urgency: str = "normal", party: str = "FR") -> bytes:
    """One of them; from another State for who looks at that."""
    return _body(reference(name, number), urgency, party)


def reference(name: str, number: int) -> str:
    """The reference of one of them; all are of one length."""
    return f"FR-{name:.8}-{number:07}"


def reference_in(body: bytes) -> bytes:
    """The reference in the bytes of such a letter, without reading the rest."""
    return body[_FROM : body.index(b'"', _FROM)]


_FROM = len(b'{"reference":"')


def _body(of: str, urgency: str, party: str) -> bytes:
    contents = {
        "offence": "Illegal access to an information system (article 7), and theft of the data of 1,240 customers.",
        "facts": "",
        "data": "Access logs, billing records and stored messages of the account named in the facts.",
        "custodian": "AzTelecom hosting, Baku",
        "necessity": "The logs show from where the stolen data were carried away; no other source has them.",
        "time_period": "2026-01-12/2026-02-28",
    }
    letter = {
        "reference": of,
        "party": party,
        "direction": "incoming",
        "channel": "24/7",
        "language": "fr",
        "sent_at": "2026-03-10T08:00:00+01:00",
        "urgency": urgency,
        "treaty_basis": ["uncc"],
        "contact": {"authority": "OFAC, Nanterre", "officer": "Cne. A. Martin", "phone": "+33 1 40 97 80 00"},
        "confidential": True,
        "measures": [{"type": "stored_data_access", "contents": contents}],
    }
    contents["facts"] = ("On 14 January the intruder entered by a stolen session and stayed for six weeks. " * 20)[
        : SIZE - len(_json(letter))
    ]
    return _json(letter)


def _json(letter: object) -> bytes:
    return json.dumps(letter, separators=(",", ":")).encode()
