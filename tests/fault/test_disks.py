"""A small disk is full when it should be, and has room again."""

import errno
from pathlib import Path

import pytest

from tests.fault import disks
from tests.fault.disks import Disk


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    if why := disks.why_not(tmp_path):
        pytest.skip(why)
    return tmp_path / "small"


def test_a_full_disk_takes_nothing_and_a_freed_one_does(disk: Path) -> None:
    with Disk(disk) as small:
        (disk / "kept").write_bytes(b"x" * 100_000)
        small.fill()
        with pytest.raises(OSError, match="No space left") as full:
            (disk / "more").write_bytes(b"x" * 100_000)
        small.free()
        (disk / "more").write_bytes(b"x" * 100_000)

        assert full.value.errno == errno.ENOSPC
        assert (disk / "kept").stat().st_size == 100_000
    assert not list(disk.iterdir())
