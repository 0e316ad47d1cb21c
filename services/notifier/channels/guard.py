"""The guard of what goes out over HTTP: an address that somebody gave us must not lead into our own network.

A host is resolved once for a connection and every address that comes back is checked, then one of those is connected
to: a name that answers differently the second time gains nothing. The certificate is still that of the name.
"""

import asyncio
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
PUBLIC_V6 = IPv6Network("2000::/3")
"""All of IPv6 that is routed. Outside are the unspecified, loopback, link-local, unique local and multicast addresses,
and the forms that hold an IPv4 address: mapped (`::ffff:0:0/96`) and NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`)."""
NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a carrier's NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; a cloud's metadata service is 169.254.169.254
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # the protocols' own
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # the protocols' own, with Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
"""IANA's special-purpose registries. Kept here, for what `ipaddress` calls global differs between Python's patches."""

_NUMBER_LAST = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$", re.IGNORECASE)
"""What resolvers take for an IPv4 address: `2130706433`, `0x7f.1`, `127.1` (URL Standard, "ends in a number")."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,254}")
_LOOKUPS = 64
"""Names that can be looked up at a time. Threads of its own: names whose servers hang hold up no other work."""


class Refused(Exception):
    """We do not send there; says why, without the address."""


class Guard:
    """What may be sent to: public addresses over https, and an office's own networks that the settings name."""

    def __init__(self, allowed: Sequence[Network] = (), *, allow_http: bool = False) -> None:
        """`allow_http` is for the local stack, whose systems stand on this machine: loopback is allowed too."""
        self._allowed = (*allowed, *LOOPBACK) if allow_http else tuple(allowed)
        self._schemes = frozenset({"https", "http"} if allow_http else {"https"})
        self._read: dict[str, URL] = {}

    def url(self, text: str) -> URL:
        """The address, read; raises `Refused` for one that we never send to, whatever its name resolves to."""
        url = self._read.get(text)
        if url is None:
            url = self._checked(text)
            if (
                len(self._read) >= 4_096
            ):  # addresses change seldom: beginning anew is simpler than forgetting the oldest
                self._read.clear()
            self._read[text] = url
        return url

    def why_not(self, text: str) -> str | None:
        """What is wrong with an address, as a sentence; None where nothing is, as far as one can know unresolved."""
        try:
            self.url(text)
        except Refused as refused:
            return str(refused)
        return None

    def check(self, address: str) -> None:
        """Raise `Refused` for an address of the network that we do not connect to."""
        at = ip_address(address)
        if any(at in network for network in self._allowed):
            return
        if (at.version == 6 and at not in PUBLIC_V6) or any(at in network for network in NOT_PUBLIC):
            raise Refused("It is no public address, and in none of the office's own networks.")

    def _checked(self, text: str) -> URL:
        try:
            url = URL(text)
            host, port = url.raw_host, url.port
        except ValueError:
            raise Refused("It is no address like https://host/...") from None
        if url.scheme not in self._schemes or not host or not port:
            raise Refused("It is no address like https://host/...")
        if url.raw_user is not None or url.raw_password is not None:
            raise Refused("It holds a user's name or password.")
        literal = _literal(host)
        if literal is not None:
            self.check(str(literal))
        return url


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is written as, in its one usual form; None for a name."""
    try:
        if ":" in host:
            return IPv6Address(host)
        if _NUMBER_LAST.search(host):
            return IPv4Address(host)
    except AddressValueError:
        raise Refused("Its host is a number in an unusual form.") from None
    if not _NAME.fullmatch(host):
        raise Refused("Its host is no name.")
    return None


class GuardedNames(AbstractResolver):
    """Looks names up for aiohttp, and lets through only addresses that the guard allows."""

    def __init__(self, guard: Guard, names: AbstractResolver) -> None:
        self._guard, self._names = guard, names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every address of a name. One that is not allowed refuses all: it is no accident."""
        found = await self._names.resolve(host, port, family)
        for one in found:
            self._guard.check(one["host"])
        return found

    async def close(self) -> None:
        """Let the look-ups go."""
        await self._names.close()


class SystemNames(AbstractResolver):
    """Names as the system knows them."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """What `getaddrinfo` says."""
        self._threads = self._threads or ThreadPoolExecutor(_LOOKUPS, "names")
        return await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)

    async def close(self) -> None:
        """End the threads; one that hangs in a look-up ends with it."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError:  # a part of the name is too long for IDNA
        raise OSError("no such name") from None
    return [
        ResolveResult(hostname=host, host=str(at[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST)
        for kind, _, proto, _, at in found
    ]
