"""A wall clock that a test can move: that of whole processes, mongod's too, by a small library put before libc."""

import shutil
import struct
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

_SOURCE = Path(__file__).with_suffix(".c")


def compiler() -> str | None:
    """The C compiler of this machine."""
    return shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> Path:
    """Compile the library."""
    library, program = folder / "skew.so", compiler()
    assert program is not None
    subprocess.run([program, "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    return library


class Skew:
    """The wall clock of the processes that are started with its environment."""

    def __init__(self, library: Path, file: Path) -> None:
        """`file`: where it stands; it is made."""
        self._library, self._file = library, file
        self._file.write_bytes(struct.pack("=q", 0))

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process must be started with."""
        return {"LD_PRELOAD": str(self._library), "SKEW_FILE": str(self._file)}

    def move(self, by: timedelta) -> None:
        """Let it differ by so much from the machine's, at once."""
        with self._file.open("r+b") as file:  # in place: the processes look at this very file
            file.write(struct.pack("=q", round(by.total_seconds())))
