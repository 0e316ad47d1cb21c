"""Apache Kafka's jars: fetched once by Maven, checked against kafka.sha256, kept in .rogatory."""

import hashlib
import os
import shutil
import time
from pathlib import Path

from deploy.local.java import Java, maven
from deploy.local.locks import locked
from deploy.local.processes import Child, last_lines
from deploy.local.screen import Screen
from shared.failures import BadStart

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".rogatory" / "kafka-4.3.1"

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_MEGABYTES = 66
"""What Maven downloads in all, its own parts too: only for the progress display."""


def jars(java: Java, screen: Screen, cache: Path = CACHE) -> Path:
    """The folder with the jars; whoever comes first fetches them, anybody else waits for that."""
    libs = cache / "libs"
    with locked(cache.with_name(f"{cache.name}.lock"), lambda: screen.wait("waiting for another download of Kafka")):
        if not is_complete(cache) and not _fetched(java, screen, cache):
            screen.note("the download of Kafka failed, trying once more from the beginning")
            if not _fetched(java, screen, cache):
                log = cache.with_name(f"{cache.name}.log")
                raise BadStart(f"Maven could not fetch Kafka; the end of {log}:\n{last_lines(log)}")
    return libs


def is_complete(cache: Path = CACHE) -> bool:
    """Whether nothing needs to be fetched."""
    return (cache / "complete").exists()


def _fetched(java: Java, screen: Screen, cache: Path) -> bool:
    """Fill the cache folder from nothing; False if that failed."""
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    repository, libs = cache / "m2", cache / "libs"
    command = [str(maven()), "-q", "-B", "--strict-checksums", "-f", str(HERE / "pom.xml"), _COPY]
    command += [f"-Dmaven.repo.local={repository}", f"-DoutputDirectory={libs}"]
    fetch = Child(
        "Maven",
        command,
        cache.with_name(f"{cache.name}.log"),
        os.environ | {"JAVA_HOME": str(java.home)},
    )
    try:
        while fetch.is_running:
            megabytes = _size(repository) / 1e6
            screen.wait(f"fetching Apache Kafka 4.3.1 ({megabytes:.0f} MB)", min(1.0, megabytes / _MEGABYTES))
            time.sleep(0.1)
    finally:
        fetch.kill()
    if fetch.exit_code != 0 or not libs.exists():
        return False
    check_jars(libs)
    shutil.rmtree(repository)
    (cache / "complete").touch()
    return True


def check_jars(libs: Path) -> None:
    """Refuse jars that are not exactly those of kafka.sha256."""
    expected = {tuple(line.split()) for line in (HERE / "kafka.sha256").read_text().splitlines()}
    found = {(hashlib.sha256(jar.read_bytes()).hexdigest(), jar.name) for jar in libs.iterdir()}
    if wrong := sorted({name for _, name in expected ^ found}):
        raise BadStart(f"these jars of Kafka are not those that kafka.sha256 names: {', '.join(wrong)}")


def _size(folder: Path) -> int:
    size = 0
    for file in folder.rglob("*"):
        try:
            size += file.stat().st_size
        except FileNotFoundError:  # Maven renames while we count
            continue
    return size
