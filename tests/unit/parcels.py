"""Builders of parcels, as the channels get them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from services.notifier.channels import Destination, Parcel, Shown
from services.notifier.channels.wording import Wording
from shared.law import load_law
from shared.partners import NoticeChannel

ROOT = Path(__file__).parents[2]
LAW = load_law(ROOT / "laws/azerbaijan.yaml")
WORDING = Wording(LAW, ZoneInfo("Asia/Baku"))
NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
CASE = "cas_5f0c9d1e7ab24c3f8e6d0b1a2c3d4e5f"
NOTICE = "not_0123456789abcdef0123456789abcdef"
LINK = f"https://notices.example.org/n/{NOTICE}?s=c2lnbmF0dXJl"
EMERGENCY = {
    "event": "case.assigned",
    "type": "emergency_data",
    "authority": "security-service",
    "status": "received",
    "lane": "urgent",
    "urgency": "emergency",
    "direction": "incoming",
    "party": "FR",
}
MISSED = EMERGENCY | {
    "event": "case.clock_missed",
    "type": "data_preservation",
    "urgency": "normal",
    "clock": "kept-60-days",
    "clock_kind": "statutory",
    "step": "due",
}


def shown(
    facts: Mapping[str, str] = EMERGENCY,
    says: Mapping[str, str] | str = "Risk to life: {type}.",
    *,
    number: int = 0,
    about: str = CASE,
    due: str | None = None,
    never_held: bool = False,
    link: str | None = LINK,
) -> Shown:
    sentences = {"en": says} if isinstance(says, str) else says
    notice = f"not_{number:032x}" if number else NOTICE
    data: dict[str, Any] = {"notice": notice, "rule": "emergency", "about": about, "facts": dict(facts)}
    data |= {"says": sentences["en"], "subscriber": "person.lala", "raised_at": "2026-03-10T08:00:00.000000Z"}
    data |= {name: value for name, value in (("due", due), ("never_held", never_held)) if value}
    return Shown(notice, sentences, data, data["raised_at"], link)


def parcel(
    *notices: Shown,
    channel: NoticeChannel = NoticeChannel.EMAIL,
    address: str = "lala@desk.example",
    language: str = "en",
    attempt: int = 1,
) -> Parcel:
    told = notices or (shown(),)
    return Parcel(told[0].notice, Destination("person.lala", channel, address, language=language), told, attempt)
