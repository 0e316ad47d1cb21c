"""Writing to a Kafka connection that has just closed is a failure that aiokafka knows, also under uvloop.

There uvloop raises `RuntimeError` (asyncio's own loop does not). aiokafka 0.14 expects `OSError` and lets anything else
end the task that wrote: the one that looks for brokers, or heartbeats. Such a consumer never reads again and says
nothing (aiokafka issue 1038). This replaces a method of aiokafka's own; a test holds it to the pinned version.
"""

from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send: Any = AIOKafkaConnection.send


def send(connection: Any, request: Any, expect_response: bool = True) -> Any:
    """aiokafka's own; raises `KafkaConnectionError` where the connection is closed."""
    writer = connection._writer
    try:
        return _send(connection, request, expect_response)
    except RuntimeError as error:
        if writer is None or not writer.transport.is_closing():
            raise
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError("the connection is closed") from error


def is_deaf(client: AIOKafkaClient) -> bool:
    """Whether the task that looks for brokers has ended, of whatever: such a client hears of no new leader."""
    return client._sync_task is not None and client._sync_task.done()


def install() -> None:
    """Make every connection of this process so."""
    AIOKafkaConnection.send = send  # type: ignore[method-assign]
