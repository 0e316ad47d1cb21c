"""Sealing: personal content is kept under its record's own key; who destroys the key has erased the content.

AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces. A record's key seals at most a thousand events, and the
deployment's key wraps one key a record, both far below the limit of 2^32 random nonces.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Broken(Exception):
    """What is sealed does not open: another key, another place, or changed bytes."""


class RecordKey:
    """The data key of one record; `wrapped` is how it stands in MongoDB."""

    __slots__ = ("_cipher", "wrapped")

    def __init__(self, key: bytes, wrapped: bytes) -> None:
        """`key`: 32 bytes in the clear."""
        self._cipher = AESGCM(key)
        self.wrapped = wrapped

    def seal(self, clear: bytes, place: bytes) -> bytes:
        """Seal bytes for one place (record and event), where alone they will open again."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, clear, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """The clear bytes; raises `Broken` if they were not sealed for this place under this key."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
        except (InvalidTag, ValueError) as error:  # ValueError: cut off within the nonce
            raise Broken("sealed content does not open") from error


class Sealer:
    """Makes and opens records' keys under the deployment's sealing key."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes."""
        self._wrapper = AESGCM(key)

    def new_key(self, record: str) -> RecordKey:
        """A fresh key for a record that has something to seal."""
        key, nonce = os.urandom(32), os.urandom(_NONCE)
        return RecordKey(key, nonce + self._wrapper.encrypt(nonce, key, record.encode()))

    def key_of(self, record: str, wrapped: bytes) -> RecordKey:
        """A record's stored key; raises `Broken` if it is another record's or another deployment's."""
        try:
            return RecordKey(self._wrapper.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], record.encode()), wrapped)
        except (InvalidTag, ValueError) as error:  # ValueError: cut off within the nonce
            raise Broken("the record's key does not open under this deployment's sealing key") from error


def place_of(record: str, seq: int) -> bytes:
    """Where an event's content belongs, as authenticated data."""
    return f"{record}/{seq}".encode()
