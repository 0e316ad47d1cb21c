"""Small disks that a test can fill: each a tmpfs of its own, whose size is set to what is in use."""

import os
import subprocess
from pathlib import Path
from typing import Self

SIZE = 4_000
"""Megabytes that a disk may take while it is not full."""


_NAME = "rogatory-test-"
"""And the process that mounted it."""


class Disk:
    """A file system at a folder; `with` mounts and unmounts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        """Mount it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={SIZE}m", f"{_NAME}{os.getpid()}", str(self.folder))
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it, with all that is on it."""
        _run("umount", "--lazy", str(self.folder))

    def fill(self) -> None:
        """Nothing more can be written."""
        for _ in range(20):  # somebody writes while we look
            found = os.statvfs(self.folder)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            try:
                _run("mount", "-o", f"remount,size={used + found.f_frsize}", str(self.folder))
            except subprocess.CalledProcessError:
                continue
            return
        raise AssertionError(f"{self.folder} cannot be made full")

    def free(self) -> None:
        """There is room again."""
        _run("mount", "-o", f"remount,size={SIZE}m", str(self.folder))


def why_not(folder: Path) -> str | None:
    """Why this machine has no such disks; None where it has."""
    try:
        with Disk(folder / "disk"):
            _unmount_left_over()
            return None
    except (OSError, subprocess.CalledProcessError):
        return "a file system cannot be mounted here (it takes root with CAP_SYS_ADMIN)"


def _unmount_left_over() -> None:
    """Those of a run that was killed: they take memory."""
    for line in Path("/proc/mounts").read_text().splitlines():
        name, place, *_ = line.split()
        if name.startswith(_NAME) and not Path("/proc", name.removeprefix(_NAME)).exists():
            _run("umount", "--lazy", place)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
