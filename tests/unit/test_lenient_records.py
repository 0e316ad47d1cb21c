"""A header name that is no UTF-8 costs its record, not its neighbours."""

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from shared import kafka
from shared.envelope import read_envelope
from shared.failures import NeverWill
from shared.lenient_records import LenientRecords

_CRC, _CHECKED_FROM = 17, 21


def batch(*names: bytes, codec: int = 0) -> bytes:
    """One batch as a client would send it: a record per header name (two bytes each)."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 100_000)
    for offset, _ in enumerate(names):
        builder.append(offset, timestamp=1, key=b"k", value=b"v%d" % offset, headers=[(f"@{offset}", b"x")])
    raw = bytearray(builder.build())
    for offset, name in enumerate(names):
        raw = raw.replace(b"@%d" % offset, name)
    raw[_CRC : _CRC + 4] = calc_crc32c(bytes(raw[_CHECKED_FROM:])).to_bytes(4, "big")
    return bytes(raw)


def read(raw: bytes) -> list[tuple[bytes, str]]:
    records = LenientRecords(raw)
    found = []
    while records.has_next():
        taken = records.next_batch()
        assert taken.validate_crc()
        found += [(record.value, record.headers[0][0]) for record in taken]
    return found


def test_good_names_are_read_as_ever() -> None:
    assert read(batch(b"ab", b"cd") + batch(b"ef")) == [(b"v0", "ab"), (b"v1", "cd"), (b"v0", "ef")]


def test_a_bad_name_keeps_its_bytes_and_its_neighbours() -> None:
    found = read(batch(b"ab", b"\xe9\xff", b"ef"))

    assert [value for value, _ in found] == [b"v0", b"v1", b"v2"]
    assert found[1][1].encode("utf-8", "surrogateescape") == b"\xe9\xff"


def test_the_envelope_refuses_such_a_name() -> None:
    [(value, name)] = read(batch(b"\xe9\xff"))

    with pytest.raises(NeverWill, match="undecodable header"):
        read_envelope([(name, b"x")], value)


def test_every_consumer_of_a_service_reads_so() -> None:
    kafka.broker_at("127.0.0.1:1", "test")

    assert fetcher.MemoryRecords is LenientRecords  # type: ignore[attr-defined]
