"""The state of a verification: rows in files by shard, and a note of how far it has come, so that it can go on."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from shared.failures import BadStart

FORMAT = 4
MOST_WAITING = 64_000_000
"""Bytes of rows in memory; a checkpoint alone may hold thousands."""
_NOTE = "verify.json"


def digits_for(rows: int) -> int:
    """How many hexadecimal digits of a record's id choose its shard: 1, 16 or 256 shards."""
    return 0 if rows < 20_000 else 1 if rows < 500_000 else 2


class Shards:
    """Files of one folder, named by family and shard; what was written after the last note is cut off again."""

    def __init__(self, folder: Path) -> None:
        """Look whether there is something to go on with; raises `BadStart` for a state of another format."""
        self._folder = folder
        self._waiting: defaultdict[tuple[str, int], bytearray] = defaultdict(bytearray)
        self._size = 0
        self._sizes: dict[str, int] = {}
        self.note: dict[str, Any] = {}
        """What the next run must know, as JSON."""
        self.digits = 2
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / _NOTE).exists():
            self._go_on()
        else:
            for left in folder.glob("*.rows"):
                left.unlink()

    @property
    def count(self) -> int:
        """How many shards there are."""
        count: int = 16**self.digits
        return count

    def of(self, record: bytes) -> int:
        """The shard of a packed id."""
        return record[4] >> (8 - 4 * self.digits)

    def of_name(self, record: str) -> int:
        """The shard of an id as text; that of nothing is the first."""
        return int(record[4 : 4 + self.digits] or "0", 16)

    def range_of(self, prefix: str, shard: int) -> tuple[str, str]:
        """From which id, and before which, the ids of a kind lie in a shard."""
        if self.digits == 0:
            return prefix, f"{prefix}g"
        low = f"{shard:0{self.digits}x}"
        return f"{prefix}{low}", f"{prefix}{low}g"

    def add(self, family: str, shard: int, row: bytes) -> None:
        """Put a row behind the others."""
        self._waiting[family, shard] += row
        self._size += len(row)

    @property
    def is_full(self) -> bool:
        """Whether so much waits that it must be saved."""
        return self._size >= MOST_WAITING

    def read(self, family: str, shard: int) -> bytes:
        """All rows of one family in a shard, the unsaved too."""
        path = self._path(family, shard)
        kept = path.read_bytes() if path.exists() else b""
        return kept + bytes(self._waiting.get((family, shard), b""))

    def save(self) -> None:
        """Write what waits, then the note: whoever goes on finds both or neither."""
        for (family, shard), rows in self._waiting.items():
            path = self._path(family, shard)
            with path.open("ab") as file:
                file.write(rows)
                self._sizes[path.name] = file.tell()
        self._waiting.clear()
        self._size = 0
        told = {"format": FORMAT, "digits": self.digits, "sizes": self._sizes, "note": self.note}
        new = self._folder / f"{_NOTE}.new"
        new.write_text(json.dumps(told))
        os.replace(new, self._folder / _NOTE)

    def clear(self) -> None:
        """The end: nothing is left to go on with."""
        self.note, self._sizes = {}, {}
        self._waiting.clear()
        self._size = 0
        for path in (*self._folder.glob("*.rows"), self._folder / _NOTE):
            path.unlink(missing_ok=True)

    def _go_on(self) -> None:
        try:
            told = json.loads((self._folder / _NOTE).read_text())
        except ValueError:
            told = {}
        if told.get("format") != FORMAT:
            raise BadStart(f"{self._folder} holds no state of a verification that this build can go on with")
        self.note, self.digits, self._sizes = told["note"], told["digits"], told["sizes"]
        for path in self._folder.glob("*.rows"):
            size = self._sizes.get(path.name, 0)
            if path.stat().st_size > size:
                os.truncate(path, size)

    def _path(self, family: str, shard: int) -> Path:
        return self._folder / f"{family}.{shard:02x}.rows"
