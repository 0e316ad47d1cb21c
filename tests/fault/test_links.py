"""Links do what is asked of them: nothing passes that must not, nothing is lost or changes places that may pass."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from deploy.local.ports import HOST, free_ports
from tests.fault.links import Link, Links

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
A_WHILE = 0.2


@pytest.fixture
def links() -> Iterator[Links]:
    with Links() as links:
        yield links


@pytest_asyncio.fixture
async def link(links: Links) -> AsyncIterator[Link]:
    """To a server that says again what it hears."""
    [port] = free_ports(1)

    async def again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(again, HOST, port)
    yield await asyncio.to_thread(links.to, port)
    server.close()


async def call(link: Link) -> Ends:
    return await asyncio.open_connection(HOST, link.port)


async def heard(reader: asyncio.StreamReader, count: int, patience: float = 5) -> bytes:
    return await asyncio.wait_for(reader.readexactly(count), patience)


async def test_everything_passes(link: Link) -> None:
    reader, writer = await call(link)
    sent = bytes(range(256)) * 20_000
    writer.write(sent)

    assert await heard(reader, len(sent)) == sent


async def test_what_is_cut_passes_nothing_on_until_it_is_whole(link: Link) -> None:
    reader, writer = await call(link)
    link.cut()
    await asyncio.sleep(A_WHILE)
    writer.write(b"held")
    other = await call(link)
    other[1].write(b"new")
    with pytest.raises(TimeoutError):
        await heard(reader, 1, A_WHILE)

    link.mend()

    assert await heard(reader, 4) == b"held"
    assert await heard(other[0], 3) == b"new"


async def test_the_end_of_a_connection_is_held_back_too(link: Link) -> None:
    reader, writer = await call(link)
    link.cut()
    await asyncio.sleep(A_WHILE)
    writer.write(b"last")
    writer.write_eof()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), A_WHILE)

    link.mend()

    assert await heard(reader, 4) == b"last"
    assert await asyncio.wait_for(reader.read(1), 5) == b""


async def test_what_is_slow_comes_late_and_in_order(link: Link) -> None:
    reader, writer = await call(link)
    link.slow(0.2)
    await asyncio.sleep(A_WHILE)
    began = asyncio.get_running_loop().time()
    for n in range(50):
        writer.write(bytes([n]))
        if n == 25:
            await asyncio.sleep(0.05)
            link.slow(0.0)

    assert await heard(reader, 50) == bytes(range(50))
    assert asyncio.get_running_loop().time() - began > 0.15


async def test_what_is_reset_ends_and_takes_none_until_it_is_whole(link: Link) -> None:
    reader, _ = await call(link)
    link.reset()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await heard(reader, 1)
    other, _ = await call(link)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await heard(other, 1)

    link.mend()
    await asyncio.sleep(A_WHILE)
    again, writer = await call(link)
    writer.write(b"again")

    assert await heard(again, 5) == b"again"
