"""What a checkpoint says, the bytes that are signed, and whether they are.

Signed is the head alone, in the canonical form of RFC 8785; its root binds the leaves. The hash of the same bytes is
what the next checkpoint of the instance names as `previous`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.checkpoints.merkle import root_of
from shared.failures import NeverWill
from shared.strict_json import canonical

CONTEXT = b"rogatory checkpoint v1\n"
"""Stands before what is signed, so that no signature over something else can be shown as one of these."""
MAX_LEAVES = 5_000
"""In one checkpoint, which must fit into one event."""

Leaf = tuple[str, int, str]
"""A record, its version, and its chain there in hexadecimal."""
_HASH = r"^[0-9a-f]{64}$"


def leaf_bytes(leaf: Leaf) -> bytes:
    """The bytes of a leaf in the tree: its JSON without spaces."""
    return orjson.dumps(leaf)


def key_id(public: bytes) -> str:
    """The name of a public key (32 bytes): the beginning of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


class SigningKey:
    """The Ed25519 key (RFC 8032) of one deployment."""

    def __init__(self, seed: bytes) -> None:
        """`seed`: the private key, 32 random bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.id = key_id(self.public)

    def sign(self, text: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(text)


@dataclass(frozen=True, slots=True)
class Head:
    """What is signed."""

    service: str
    instance: str
    number: int
    """Counts from 1 for every instance."""
    previous: str | None
    """The digest of the instance's checkpoint before; None for its first."""
    at: str
    size: int
    """How many leaves there are."""
    root: str
    key: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """The head among an event's data."""
        return cls(**{each.name: data[each.name] for each in fields(cls)})

    @property
    def signed(self) -> bytes:
        """The bytes under the signature."""
        return CONTEXT + canonical(asdict(self))

    @property
    def digest(self) -> str:
        """What the next checkpoint calls `previous`."""
        return hashlib.sha256(self.signed).hexdigest()


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, strict=True)

    service: str
    instance: str
    number: int = Field(ge=1)
    previous: str | None = Field(pattern=_HASH)
    at: str
    size: int = Field(ge=0)
    root: str = Field(pattern=_HASH)
    key: str
    leaves: list[Any]
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A head, the leaves under its root, and the signature."""

    head: Head
    leaves: Sequence[Leaf]
    signature: bytes

    @classmethod
    def make(
        cls,
        leaves: Sequence[Leaf],
        key: SigningKey,
        *,
        service: str,
        instance: str,
        number: int,
        previous: str | None,
        at: str,
    ) -> Self:
        """Sign these leaves, in their order."""
        root = root_of([leaf_bytes(leaf) for leaf in leaves]).hex()
        head = Head(service, instance, number, previous, at, len(leaves), root, key.id)
        return cls(head, leaves, key.sign(head.signed))

    @classmethod
    def read(cls, value: bytes | None) -> Self:
        """The checkpoint in an event's data; raises `NeverWill` for what is none."""
        try:
            data = _Data.model_validate(orjson.loads(value or b""))
            leaves = [(record, version, chain) for record, version, chain in data.leaves]
        except (ValidationError, ValueError, TypeError):
            raise NeverWill("not a checkpoint") from None
        if not all(isinstance(r, str) and type(v) is int and isinstance(c, str) for r, v, c in leaves):
            raise NeverWill("not a checkpoint")
        return cls(Head.of(data.model_dump(exclude={"leaves"})), leaves, bytes.fromhex(data.signature))

    @property
    def data(self) -> dict[str, Any]:
        """What its event says."""
        return asdict(self.head) | {"leaves": self.leaves, "signature": self.signature.hex()}

    def holds(self) -> bool:
        """Whether the head is about these leaves."""
        root = root_of([leaf_bytes(leaf) for leaf in self.leaves]).hex()
        return len(self.leaves) == self.head.size and root == self.head.root

    def is_signed_by(self, public: bytes) -> bool:
        """Whether the holder of a key has signed the head."""
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(self.signature, self.head.signed)
        except (InvalidSignature, ValueError):  # ValueError: bytes that are no key
            return False
        return True
