"""The guard: an address that somebody gave us leads to public systems, and to networks that the settings name."""

import asyncio
import socket
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from aiohttp.abc import ResolveResult

from services.notifier.channels.guard import Guard, GuardedNames, Refused, SystemNames
from services.notifier.channels.outgoing import Outgoing
from services.notifier.domain.bodies import Delivered, Failed
from tests.unit.endpoints import HERE, HOST, Names, endpoint, says, trusting

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
STRICT = Guard()


# Addresses of the network

INWARD = {
    "loopback": "127.0.0.1",
    "loopback, another": "127.255.255.254",
    "private 10": "10.1.2.3",
    "private 172": "172.31.255.255",
    "private 192": "192.168.0.1",
    "link-local": "169.254.0.1",
    "the metadata of a cloud": "169.254.169.254",
    "behind a carrier's NAT": "100.64.0.1",
    "unspecified": "0.0.0.0",
    "this network": "0.1.2.3",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "documentation": "192.0.2.1",
    "benchmarks": "198.19.0.1",
    "a relay of 6to4": "192.88.99.1",
    "IPv6 loopback": "::1",
    "IPv6 unspecified": "::",
    "IPv6 link-local": "fe80::1",
    "IPv6 link-local, with its interface": "fe80::1%1",
    "IPv6 unique local": "fd00::1",
    "IPv6 site-local": "fec0::1",
    "IPv6 multicast": "ff02::1",
    "IPv6 documentation": "2001:db8::1",
    "IPv6 documentation, the new": "3fff::1",
    "IPv4 mapped": "::ffff:127.0.0.1",
    "IPv4 mapped, a public one": "::ffff:8.8.8.8",
    "IPv4 compatible": "::127.0.0.1",
    "6to4": "2002:7f00:1::",
    "Teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "NAT64": "64:ff9b::7f00:1",
    "NAT64, a network's own": "64:ff9b:1::7f00:1",
    "the metadata of a cloud, IPv6": "fd00:ec2::254",
}


@pytest.mark.parametrize("case", INWARD)
def test_no_address_that_leads_inward_is_connected_to(case: str) -> None:
    with pytest.raises(Refused):
        STRICT.check(INWARD[case])


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "192.0.1.1", "2606:4700::1", "2a00::1"]
)
def test_public_addresses_are(address: str) -> None:
    STRICT.check(address)


def test_an_office_can_name_its_own_networks_and_nothing_beside_them_opens() -> None:
    office = Guard([ip_network("10.20.0.0/16"), ip_network("fd12::/16")])

    office.check("10.20.1.1")
    office.check("fd12::1")
    for address in ("10.21.0.1", "fd13::1", "::ffff:10.20.1.1", "127.0.0.1", "169.254.169.254"):
        with pytest.raises(Refused):
            office.check(address)


def test_the_local_stack_stands_on_this_machine_and_reaches_no_other() -> None:
    local = Guard(allow_http=True)

    assert local.why_not("http://127.0.0.1:9000/x") is local.why_not("http://[::1]:9000/x") is None
    assert local.why_not("http://localhost:9000") is None
    assert local.why_not("http://10.0.0.1/")
    assert local.why_not("http://169.254.169.254/")


# Addresses as they are written

REFUSED = {
    "http": "http://hooks.example/",
    "another scheme": "ftp://hooks.example/",
    "a file": "file:///etc/passwd",
    "no scheme": "hooks.example/notices",
    "nothing": "",
    "no host": "https:///notices",
    "half an address": "https://[",
    "a port that is none": "https://hooks.example:port/",
    "a port of zero": "https://hooks.example:0/",
    "a user": "https://duty@hooks.example/",
    "a user and a password": "https://duty:hush@hooks.example/",
    "an empty user": "https://:hush@hooks.example/",
    "two hosts by a backslash": "https://hooks.example\\@127.0.0.1/",
    "a host with an escape": "https://local%68ost%00.example/",
    "loopback": "https://127.0.0.1/",
    "loopback with a dot": "https://127.0.0.1./",
    "loopback in decimal": "https://2130706433/",
    "loopback in hexadecimal": "https://0x7f.1/",
    "loopback in hexadecimal, whole": "https://0x7f000001/",
    "loopback in octal": "https://0177.0.0.1/",
    "loopback, short": "https://127.1/",
    "loopback in wide digits": "https://\uff11\uff12\uff17.0.0.1/",
    "loopback with wide dots": "https://127\u30020\u30020\u30021/",
    "a public address in decimal": "https://134744072/",
    "an empty hexadecimal number": "https://x.0x/",
    "metadata": "https://169.254.169.254/latest/meta-data/",
    "IPv6 loopback": "https://[::1]/",
    "IPv4 mapped": "https://[::ffff:127.0.0.1]/",
    "IPv4 mapped, in hexadecimal": "https://[::ffff:7f00:1]/",
    "NAT64": "https://[64:ff9b::169.254.169.254]/",
    "6to4": "https://[2002:a9fe:a9fe::]/",
    "an interface": "https://[fe80::1%25eth0]/",
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_odd_address_is_refused_in_a_sentence_without_it(case: str) -> None:
    why = STRICT.why_not(REFUSED[case])

    assert why is not None
    assert why.endswith(".")
    assert "hush" not in why
    assert "127" not in why


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example",
        "https://hooks.example:8443/a?b=c",
        "https://xn--bcher-kva.example/",
        "https://b\u00fccher.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1]/",
        "https://0x7f.example/",
        "https://7.hooks.example/",
    ],
)
def test_a_usual_address_is_right(address: str) -> None:
    assert STRICT.why_not(address) is None


def test_an_address_is_read_once_and_the_memory_for_them_is_bounded() -> None:
    guard = Guard()

    assert guard.url("https://hooks.example/") is guard.url("https://hooks.example/")
    for number in range(5_000):
        guard.url(f"https://hooks.example/{number}")
    assert len(guard._read) <= 4_096


# Names

REFUSES = Failed(1, "refused address")


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("169.254.169.254",), ("::ffff:127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("2606:4700::1", "::1")],
)
async def test_a_name_that_leads_inward_is_refused_before_anything_is_connected_to(addresses: tuple[str, ...]) -> None:
    async with endpoint(says(200)) as there:
        outgoing = Outgoing(STRICT, ssl_context=trusting(), names=Names(*addresses))

        assert await outgoing.post(there.url, b"{}", {}, 1, NOW) == REFUSES
        assert not there.connections
        await outgoing.close()


async def test_a_name_of_this_machine_is_refused_as_the_system_resolves_it() -> None:
    async with endpoint(says(200), host="localhost") as there:
        outgoing = Outgoing(STRICT, ssl_context=trusting())

        assert await outgoing.post(f"https://localhost:{there.port}/", b"{}", {}, 1, NOW) == REFUSES
        assert not there.connections
        await outgoing.close()


async def test_a_connection_goes_to_the_address_that_was_checked_and_asks_for_no_other() -> None:
    """A name that is public when it is checked and inward when it is connected to (DNS rebinding) gains nothing."""

    class Rebinding(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            found = await super().resolve(host, port, family)
            self.addresses = ("169.254.169.254",)
            return found

    async with endpoint(says(200)) as there:
        names = Rebinding()
        outgoing = Outgoing(HERE, ssl_context=trusting(), names=names)

        assert await outgoing.post(there.url, b"{}", {}, 1, NOW) == Delivered(1)
        assert names.asked == [HOST]
        assert there.asked[0].headers["host"] == f"{HOST}:{there.port}"
        await outgoing.close()


async def test_many_at_once_look_a_name_up_once() -> None:
    async with endpoint(says(200)) as there:
        names = Names()
        outgoing = Outgoing(HERE, ssl_context=trusting(), names=names)

        outcomes = await asyncio.gather(*(outgoing.post(there.url, b"{}", {}, n, NOW) for n in range(1, 11)))

        assert outcomes == [Delivered(n) for n in range(1, 11)]
        assert names.asked == [HOST]
        await outgoing.close()


async def test_a_name_that_is_too_long_or_unknown_is_a_failure_of_names_and_no_bug() -> None:
    names = GuardedNames(STRICT, SystemNames())

    for host in ("x" * 70 + ".example", "no-such-name.invalid"):
        with pytest.raises(OSError):
            await names.resolve(host, 443)
    await names.close()


async def test_the_systems_names_can_be_asked_again_after_they_were_closed() -> None:
    names = SystemNames()
    for _ in range(2):
        assert {one["host"] for one in await names.resolve("localhost", 443)} <= {"127.0.0.1", "::1"}
        await names.close()
