"""IP addresses and times in free text, and what they lack to lead to anybody: an exact time, its zone, a source port.

An address is shared by many and soon given to another, so no provider can say whose it was without all three. Texts are
in any language, so hardly more than numbers is understood, and in doubt nothing is reported: a false alarm sends an
agency looking for what is there, a missed one is seen by the officer who reads the letter. No address is repeated.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from itertools import chain, islice
from typing import NamedTuple

Address = str | IPv6Address

NO_TIME = "an IP address without an exact time and its zone"
NO_ZONE = "an IP address without the zone of its time"
NO_PORT = "an IP address without a source port"
TIME_WITHOUT_ZONE = "a time without a zone"

NEAR = 80
"""Characters within which a day or a zone belongs to a clock time, and a bare number is an address's port."""

MOST = 1000
"""Addresses and times that are looked at in one letter."""

GLOBAL = IPv6Network("2000::/3")

_WORTH_A_LOOK = re.compile(r"[0-9](?:\[?\.\]?[0-9]{1,3}\[?\.|[:：][0-9]{2})")
_DOT_AND_NUMBER = re.compile(r"\.\]?[0-9]")
_GROUPS = re.compile(r":[0-9A-Fa-f]{0,4}:")
# Each begins with a set of characters and looks behind it only then: the engine skips to such a character quickly.
_FOUR = re.compile(
    r"[0-9](?<![0-9A-Za-z_.][0-9])[0-9]{0,2}(?:\[?\.\]?[0-9]{1,3}){3}(?!\.?[0-9A-Za-z_])(?!/[0-9]{1,2}(?![0-9]))"
)
_SIX = re.compile(
    r"[23](?<![0-9A-Za-z_:.][23])[0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z_:]|\.[0-9])(?!/[0-9]{1,3}(?![0-9]))"
)
_FINGERPRINT = re.compile(r"(?<![0-9A-Fa-f:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5,}")
"""Hardware addresses too: their parts look like times."""
_BESIDE = re.compile(r"\]?(?:[:：/#][0-9]{2,5}|\s?[:：/#]\s?[0-9]{4,5})(?![0-9:：]|[./-][0-9])")
_BARE = re.compile(
    r"[0-9](?<![0-9A-Za-z_.,:/+-].)(?<![0-9]\s.)[0-9]{3,4}(?![0-9A-Za-z_:/-]|[.,][0-9]|\s[0-9]{3}(?![0-9]))"
)
_SAID = re.compile(
    r"(?:[Pp](?<!\w.)(?:orts?|uertos?|ortas?)\b|PORTS?|[Пп](?<!\w.)орт(?:а|ы|у|ом)?\b|منفذ|端口|埠|포트|ポート)\D{0,20}[0-9]"
)
_YEARS = range(1900, 2100)
_WHOLE_TIME = re.compile(
    r"[12][0-9]{3}-?[01][0-9]-?[0-3][0-9][T ][0-2][0-9]:?[0-5][0-9](?::?[0-6][0-9](?:[.,][0-9]+)?)?"
    r"(?:Z(?![A-Za-z])|[+-][01][0-9]:?[0-5][0-9](?![0-9]))"
)
"""A day, a time and its zone in one, as machines write it."""
_TIME = re.compile(
    r"[0-9](?:(?<![0-9:+−].)(?<!(?:UTC|GMT)-.)(?<![ (]-.)|(?<=[0-9]{4}:.))(?:(?<=[01])[0-9]|(?<=2)[0-4])?"
    r"(?:(?P<colon>[:：])|\s?[hH時时点點]\s?)[0-5][0-9](?:[:：分][0-5][0-9](?:[.,][0-9]+)?)?(?![0-9/])"
)
_COLON_TIME = re.compile(r"[0-9]{2}[:：][0-5][0-9]")
_DAY = re.compile(r"[0-9](?<![0-9].)(?:(?<=1)[349]|(?<=2)[05])[0-9]{2}(?![0-9])|[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2}")
_ZONE_NEXT = re.compile(
    r"\s?\(?(?:Z(?![A-Za-z])|[+−-](?:0?[0-9]|1[0-4])(?::?[0-5][0-9])?(?![0-9])|[A-Z]{2,4}T\b|MSK|МСК)"
)
_ZONE_NEAR = re.compile(
    r"UTC|GMT|[+−-](?:0[0-9]|1[0-4]):[0-5][0-9](?![0-9])"
    r"|(?:Africa|America|Asia|Atlantic|Australia|Europe|Indian|Pacific)/[A-Z]"
)


class _Found(NamedTuple):
    """An address, and where it stands with its port if it has one beside it."""

    address: Address
    start: int
    end: int
    port: bool


@dataclass(slots=True)
class _Known:
    """Where an address stands first, and what is known with it in any text."""

    word: str
    time: bool = False
    zone: bool = False
    port: bool = False


def defects_of(texts: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the addresses and times in these texts lack, each with the word of its text and none twice.

    An address that has its time and port in one text needs them in no other.
    """
    texts = list(texts)
    if not _may_hold_any("\n".join([text for _, text in texts])):
        return []
    seen: dict[Address, _Known] = {}
    unclear: list[str] = []
    looks = MOST
    for word, text in texts:
        if looks <= 0 or not (_WORTH_A_LOOK.search(text) or _GROUPS.search(text)):
            continue
        addresses = list(islice(_addresses(text), looks))
        rest, whole = _WHOLE_TIME.subn(_blank, _without(text, addresses))
        zones = list(islice(_zones_of_times(rest), looks)) if addresses or _COLON_TIME.search(rest) else []
        looks -= len(addresses) + len(zones)
        if False in zones:
            unclear.append(word)
        without_port: list[_Known] = []
        for address, _, end, port in addresses:
            known = seen.setdefault(address, _Known(word))
            known.time = known.time or whole > 0 or bool(zones)
            known.zone = known.zone or whole > 0 or True in zones
            known.port = known.port or port or _has_port_near(rest, end)
            if not known.port:
                without_port.append(known)
        if without_port and _SAID.search(rest):
            for known in without_port:
                known.port = True
    found = dict.fromkeys((known.word, says) for known in seen.values() for says in _lacks(known))
    found |= dict.fromkeys((word, TIME_WITHOUT_ZONE) for word in unclear if (word, NO_ZONE) not in found)
    return list(found)


def _may_hold_any(text: str) -> bool:
    """Whether anything in it may be an address or a time: most letters hold neither, and this costs them least.

    Every pattern that makes a text worth a look needs a colon, or a dot with a number behind it.
    """
    return ":" in text or "：" in text or _DOT_AND_NUMBER.search(text) is not None


def _lacks(known: _Known) -> Iterator[str]:
    if not known.time:
        yield NO_TIME
    elif not known.zone:
        yield NO_ZONE
    if not known.port:
        yield NO_PORT


def _addresses(text: str) -> Iterator[_Found]:
    """The addresses that can lead to somebody, with where they stand and whether a port stands beside them."""
    for match in chain(_FOUR.finditer(text), _SIX.finditer(text) if _GROUPS.search(text) else ()):
        address = _four(match[0]) if "." in match[0] else _six(match[0])
        if address is not None:
            port = _BESIDE.match(text, match.end())
            yield _Found(address, match.start(), port.end() if port else match.end(), port is not None)


def _four(text: str) -> Address | None:
    """An address of version 4, unless it is a network mask, loopback or something else that is no single machine."""
    parts = text.replace("[", "").replace("]", "").split(".")
    if any(int(part) > 255 or (part[0] == "0" != part) for part in parts):
        return None
    return None if parts[0] in ("0", "127") or int(parts[0]) > 223 else ".".join(parts)


def _six(text: str) -> Address | None:
    """An address of version 6 that can be reached from everywhere."""
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    return address if address in GLOBAL else None


def _without(text: str, addresses: Sequence[_Found]) -> str:
    """The text with blanks in place of addresses, their ports and what else looks like a time and is none."""
    parts, at = [], 0
    for found in sorted(addresses, key=lambda found: found.start):
        parts += [text[at : found.start], " " * (found.end - found.start)]
        at = found.end
    rest = "".join((*parts, text[at:]))
    return _FINGERPRINT.sub(_blank, rest) if rest.count(":") >= 5 else rest


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _zones_of_times(text: str) -> Iterator[bool]:
    """Whether the zone is said, for each clock time with a day near it; without a colon it may be a duration."""
    for match in _TIME.finditer(text):
        start, end = match.span()
        around = text[max(0, start - NEAR) : end + NEAR]
        zone = bool(_ZONE_NEXT.match(text, end) or _ZONE_NEAR.search(around))
        if (zone or match["colon"]) and _DAY.search(around):
            yield zone


def _has_port_near(rest: str, end: int) -> bool:
    """Whether a number soon after the address can be its port."""
    bare = map(int, _BARE.findall(rest, end, end + NEAR))
    return any(1024 <= number <= 65535 and number not in _YEARS for number in bare)
