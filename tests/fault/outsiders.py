"""How agencies, authorities and officers of the tests write: their clients say it again until Kafka has it."""

from aiokafka import AIOKafkaProducer

_LINGER = 20
"""Milliseconds for which a record waits for company: what tests send should cost the brokers little."""


def producer_of(bootstrap: str) -> AIOKafkaProducer:
    """A client's producer, not started.

    Not an idempotent one: aiokafka's has lost a sequence number once a batch found no leader in its time, and then
    every later send to that partition is refused. Whatever is said here has an id, so it counts once.
    """
    return AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=False, linger_ms=_LINGER)
