"""The sample letters of the demo: what must become of each, and how each goes through its door."""

import asyncio
import http.client
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from aiokafka import AIOKafkaProducer
from pydantic import Field

from deploy.local.jars import ROOT
from shared import topics
from shared.events import LETTER_RECEIVED, schema_of
from shared.failures import BadStart
from shared.vocabulary import Direction, Lane, Urgency
from shared.yaml_file import Id, Strict, Words, YamlFile, read_yaml

SAMPLES_SETTING = "ROGATORY_SAMPLES"
"""Another folder of samples than the repository's; every file of it as in `samples/`."""

_ACCEPTED, _AGAIN = http.HTTPStatus.ACCEPTED, http.HTTPStatus.OK


class Expected(Strict):
    """What must become of one measure."""

    type: Words
    authority: Id
    """To whom the law gives it."""
    lane: Lane
    alert: bool
    """Whether who is called must hear of it at once."""
    missing: tuple[Words, ...] = ()
    """The contents that it lacks when it comes."""
    goes_to: Id | None = None
    """The authority to which the desk gives it."""
    end: tuple[Words, ...] = ()
    """Its last statuses, one after the other."""
    why: Words


class _SampleText(Strict):
    file: Words
    agency: Id
    door: Literal["http", "kafka"]
    measures: tuple[Expected, ...]


class _Samples(Strict):
    samples: Mapping[str, _SampleText] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample letter as it will be filed, and what is expected of it."""

    name: str
    agency: str
    door: Literal["http", "kafka"]
    raw: bytes
    reference: str
    party: str
    direction: Direction
    urgency: Urgency
    measures: tuple[Expected, ...]
    sent_at: datetime


class Refused(Exception):
    """A door did not take a letter: the message says which, and what it answered."""


def samples_folder() -> Path:
    """The repository's samples, or what the environment names."""
    return Path(os.environ.get(SAMPLES_SETTING, ROOT / "samples"))


def load_samples(folder: Path) -> tuple[Sample, ...]:
    """The samples of a folder with what `expected.yaml` says of them; raises `BadStart`."""
    file = read_yaml(folder / "expected.yaml")
    lines = {("samples", *place): line for place, line in file.lines.items()}
    text = YamlFile(file.path, file.content, {"samples": file.tree}, {(): 1, **lines}).typed(_Samples)
    return tuple(_sample(name, folder / one.file, one) for name, one in text.samples.items())


def _sample(name: str, path: Path, text: _SampleText) -> Sample:
    try:
        raw = path.read_bytes()
        letter = json.loads(raw)
        reference, party, direction = letter["reference"], letter["party"], Direction(letter["direction"])
        urgency = Urgency(letter.get("urgency", Urgency.NORMAL))
        sent_at = datetime.fromisoformat(letter["sent_at"]).astimezone(UTC)
    except (OSError, ValueError, KeyError, TypeError) as failure:
        raise BadStart(f"{path} is no letter that could be filed: {type(failure).__name__}") from None
    return Sample(name, text.agency, text.door, raw, reference, party, direction, urgency, text.measures, sent_at)


class Doors:
    """Files letters as their agencies do: by HTTP with a token, or on the agency's own Kafka topic."""

    def __init__(self, intake: str, tokens: Path, bootstrap: str) -> None:
        """The intake's address, the folder with the agencies' tokens, and Kafka."""
        address = urlsplit(intake)
        self._host, self._port, self._tokens = address.hostname or "", address.port, tokens
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)

    async def __aenter__(self) -> "Doors":
        """Connect to Kafka."""
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave Kafka."""
        await self._producer.stop()

    async def file(self, sample: Sample) -> str | None:
        """File a letter; its id, or nothing yet where the receipt comes by Kafka."""
        if sample.door == "http":
            return await asyncio.to_thread(self._post, sample)
        lane = Lane.NORMAL if sample.urgency == Urgency.NORMAL else Lane.URGENT
        topic = topics.letters_from(sample.agency, lane)
        await self._producer.send_and_wait(topic, sample.raw, sample.reference.encode(), headers=_headers())
        return None

    def _post(self, sample: Sample) -> str:
        token = (self._tokens / f"{sample.agency}.jwt").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self._host, self._port, timeout=15)
        try:
            connection.request("POST", "/v1/letters", sample.raw, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as failure:
            raise Refused(f"{sample.name}: the intake does not answer ({type(failure).__name__})") from None
        finally:
            connection.close()
        if response.status not in (_ACCEPTED, _AGAIN):
            raise Refused(f"{sample.name}: the intake answered {response.status}: {json.dumps(answer)}")
        return str(answer["id"])


def _headers() -> list[tuple[str, bytes]]:
    """A CloudEvent in binary mode, as a foreign system would write it."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", uuid.uuid4().hex.encode()),
        ("ce_source", b"/systems/demo"),
        ("ce_type", LETTER_RECEIVED.encode()),
        ("ce_dataschema", schema_of(LETTER_RECEIVED).encode()),
        ("content-type", b"application/json"),
    ]
