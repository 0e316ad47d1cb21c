"""`rogatory up` ends as it should, however it ends: nothing is left running and a taken port stops nobody."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from deploy.local.locks import locked
from deploy.local.ports import HOST, choose_port, free_ports, is_free
from deploy.local.processes import Child, ChildStopped, stop_all, wait_until
from deploy.local.stack import Stack
from shared.failures import BadStart

SERVICES: tuple[str, ...] = ("intake", "router", "notifier")

STARTS_A_STACK = """
import sys
from pathlib import Path
from deploy.local.processes import signals_interrupt
from deploy.local.stack import Stack

try:
    with signals_interrupt(), Stack(Path(sys.argv[1]), services=sys.argv[2:]) as stack:
        print(*(child.pid for child in stack.children), flush=True)
        stack.watch()
except KeyboardInterrupt:
    print("stopped")
"""


class Heard:
    """A screen that remembers."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.notes: list[str] = []

    def note(self, fact: str) -> None:
        """Remember the fact."""
        self.notes.append(fact)

    def wait(self, what: str, share: float | None = None) -> None:
        """Forget what is awaited."""


@contextmanager
def running_stack(
    folder: Path, services: tuple[str, ...]
) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A stack in a process of its own, and the processes that it started."""
    command = [sys.executable, "-c", STARTS_A_STACK, str(folder), *services]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process, [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_nothing_is_left_running(how: signal.Signals, tmp_path: Path, needs_kafka: None, needs_mongod: None) -> None:
    services = SERVICES if how is signal.SIGTERM else ()
    with running_stack(tmp_path / "data", services) as (process, children):
        assert len(children) == 2 + len(services), "mongod, Kafka and the services"

        process.send_signal(how)
        process.wait(60)

        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []
        assert process.returncode == (-signal.SIGKILL if how is signal.SIGKILL else 0)


def test_a_second_stack_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "data.lock", lambda: pytest.fail("nobody else is here")),
        pytest.raises(BadStart, match="already runs"),
        Stack(tmp_path / "data", services=()),
    ):
        pass


def test_a_taken_port_is_named_and_another_is_used() -> None:
    [taken] = free_ports(1)
    screen = Heard()
    with socket.create_server((HOST, taken)):
        port = choose_port(taken, screen)

    assert port != taken
    assert is_free(port)
    assert screen.notes == [f"port {taken} is taken, using {port}"]


def test_a_service_that_ends_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child(
        "router", [sys.executable, "-c", "print('the law file has no zone'); exit(3)"], tmp_path / "router.log"
    )

    with pytest.raises(ChildStopped, match=r"(?s)router ended with exit code 3.*the law file has no zone"):
        wait_until(lambda: False, "router's readiness", [child])


def test_a_child_that_will_not_end_is_ended(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    child = Child("deaf", [sys.executable, "-c", deaf], tmp_path / "deaf.log")
    wait_until(lambda: "deaf" in child.log.read_text(), "deafness", [child])

    began = time.monotonic()
    stop_all([child], patience=0.2)

    assert child.exit_code == -signal.SIGKILL
    assert time.monotonic() - began < 5


def test_secrets_are_readable_by_their_owner_alone_and_kept_data_keep_them(
    tmp_path: Path, needs_kafka: None, needs_mongod: None
) -> None:
    keys = []
    for keep in (False, True, False):
        with Stack(tmp_path / "data", services=(), keep=keep) as stack:
            keys.append(stack.keys)
        secret = [stack.folder / "keys.json", *stack.tokens.rglob("*.jwt"), *stack.folder.glob("environment/*.env")]
        assert len(secret) > 5
        assert {oct(os.stat(file).st_mode & 0o777) for file in secret} == {"0o600"}

    assert keys[0] == keys[1] != keys[2]


def test_the_command_prints_one_line_of_json_and_ends_with_zero(
    tmp_path: Path, needs_kafka: None, needs_mongod: None
) -> None:
    command = [sys.executable, "-m", "cli", "up", "--json", "--services", "", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0

    addresses = json.loads(line)
    assert {"kafka", "mongo", "webhook", "tokens", "logs"} <= addresses.keys()


def test_a_wrong_service_is_one_sentence_and_exit_code_two() -> None:
    command = [sys.executable, "-m", "cli", "up", "--services", "rooter"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "there is no service rooter: choose from intake, router, notifier\n"


def test_a_port_that_another_process_means_to_use_is_left_to_it() -> None:
    takes = "import sys; from deploy.local.ports import free_ports; print(*free_ports(1), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", takes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        meant = int(other.stdout.readline())
        assert is_free(meant), "it is chosen, no server listens yet"

        assert choose_port(meant) != meant

        other.communicate()
    assert choose_port(meant) == meant
