"""Which partition a key belongs to, as every client of Kafka chooses it."""

import struct
from functools import lru_cache


@lru_cache(maxsize=8_192)  # what is said of a record comes close together
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's own default partitioner chooses it (murmur2)."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash as Kafka's clients compute it (org.apache.kafka.common.utils.Utils.murmur2)."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    length = len(data)
    words = length // 4
    h = 0x9747B28C ^ length
    for k in struct.unpack_from(f"<{words}I", data):
        k = k * m & mask
        k ^= k >> 24
        h = (h * m & mask) ^ (k * m & mask)
    rest = data[words * 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
