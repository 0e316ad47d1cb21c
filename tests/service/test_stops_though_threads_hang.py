"""A thread that hangs, in a name's look-up or in somebody's plugin, does not keep a service from ending."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from deploy.local.jars import ROOT
from deploy.local.ports import HOST, free_ports

HANGS = 60
SCRIPT = """
import asyncio, socket, sys, threading, time
from apprise.plugins.custom_json import NotifyJSON
from services.notifier.channels.apprise import Apprises
from services.notifier.channels.guard import SystemNames
from shared import service
from shared.partners import NoticeChannel
from shared.platform import Platform
from shared.settings import Settings
from tests.unit.parcels import NOW, WORDING, parcel, shown

left = threading.Semaphore(0)

def hang(*_, **__):
    left.release()
    time.sleep(60)

async def looks_up():
    socket.getaddrinfo = hang
    await SystemNames().resolve("hangs.example", 443)

async def calls():
    NotifyJSON.send = hang
    await Apprises(WORDING).send(parcel(shown(), channel=NoticeChannel.APPRISE, address="json://hangs.example"), NOW)

async def reads():
    await asyncio.to_thread(hang)

async def says():
    for _ in range(3):
        while not left.acquire(blocking=False):
            await asyncio.sleep(0.01)
    print("all hang", file=sys.stderr, flush=True)
    await asyncio.Event().wait()

def build(platform, settings):
    platform.tasks += [looks_up, calls, reads, says]
    return None

service.main("intake", Settings, build)
"""


def environment() -> dict[str, str]:
    """A service whose MongoDB and Kafka are away."""
    port, mongo, kafka = free_ports(3)
    return {
        "PATH": os.environ["PATH"],
        "ROGATORY_PORT": str(port),
        "ROGATORY_MONGO": f"mongodb://{HOST}:{mongo}/?replicaSet=rs0",
        "ROGATORY_KAFKA": f"{HOST}:{kafka}",
        "ROGATORY_ID_KEY": "11" * 32,
        "ROGATORY_SEALING_KEY": "22" * 32,
    }


@pytest.fixture
def grace() -> float:
    """Seconds that a pod is given to stop."""
    pod = yaml.safe_load((ROOT / "deploy/k8s/base/pod.yaml").read_text())
    found: float = pod["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    return found


def test_a_service_stops_in_its_time_though_threads_hang(tmp_path: Path, grace: float) -> None:
    log = tmp_path / "said"
    with log.open("w") as said:
        child = subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment(), stdout=said, stderr=said)
        try:
            wait_until_said(log, "all hang", child)
            began = time.monotonic()
            child.send_signal(signal.SIGTERM)

            assert child.wait(HANGS) == 0
            assert time.monotonic() - began < grace / 2
        finally:
            child.kill()
            child.wait()
    assert '"event": "stopped"' in log.read_text()


def wait_until_said(log: Path, text: str, child: subprocess.Popen[bytes]) -> None:
    """Wait for a line of a process."""
    until = time.monotonic() + 60
    while text not in log.read_text():
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)
