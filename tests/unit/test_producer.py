"""The producer's choice of a partition: the same as Kafka's own clients make, or the order per key would break."""

import pytest
from aiokafka import partitioner
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.partitions import murmur2, partition_of


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=100))
def test_the_hash_of_a_key_is_the_one_of_kafkas_clients(key: bytes) -> None:
    assert murmur2(key) == partitioner.murmur2(key)


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=40), st.integers(1, 64))
def test_a_key_goes_to_the_partition_that_aiokafka_would_choose(key: bytes, partitions: int) -> None:
    choose = partitioner.DefaultPartitioner()

    assert partition_of(key, partitions) == choose(key, list(range(partitions)), list(range(partitions)))


KAFKAS_OWN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", KAFKAS_OWN)
def test_the_hash_is_the_one_that_kafka_itself_tests_for(key: bytes) -> None:
    """The table of org.apache.kafka.common.utils.UtilsTest.testMurmur2, in Java's signed numbers."""
    assert murmur2(key) == KAFKAS_OWN[key] & 0xFFFFFFFF


def test_the_events_of_one_case_stay_on_one_partition_and_those_of_many_spread() -> None:
    chosen = [partition_of(f"cas_{n:032x}".encode(), 6) for n in range(600)]

    assert partition_of(b"cas_1", 6) == partition_of(b"cas_1", 6)
    assert set(chosen) == set(range(6))
