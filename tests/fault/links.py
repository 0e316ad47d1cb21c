"""Links between processes that a test can cut, reset and slow down: small TCP proxies in a process of their own.

What is cut passes nothing on and says nothing, as a cable that is pulled: what was sent meanwhile arrives when the link
is whole again, also the end of a connection. What is reset ends its connections, and takes none until it is whole.
"""

import json
import subprocess
import sys
import threading
from typing import Any, Self

from deploy.local.jars import ROOT


class Link:
    """One way in to one server."""

    def __init__(self, links: "Links", number: int, port: int) -> None:
        """`port`: where it takes connections."""
        self._links, self._number, self.port = links, number, port

    def cut(self) -> None:
        """Nothing passes any more."""
        self._links.tell("cut", self._number)

    def reset(self) -> None:
        """Every connection ends, and no other begins."""
        self._links.tell("reset", self._number)

    def slow(self, delay: float) -> None:
        """Everything comes so many seconds later, each way; 0: as fast as before."""
        self._links.tell("slow", self._number, delay)

    def mend(self) -> None:
        """Neither cut nor reset any more."""
        self._links.tell("mend", self._number)


class Links:
    """All links of a test; `with` ends them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.all: list[Link] = []

    def __enter__(self) -> Self:
        """Begin."""
        command = [sys.executable, "-m", "tests.fault.link_process"]
        # It ends with its standard input, so also where the tests are killed.
        self._process = subprocess.Popen(
            command, cwd=ROOT, start_new_session=True, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End; connections that are still there end with it."""
        self._process.kill()
        self._process.communicate()

    def to(self, target: int) -> Link:
        """A new link to a port."""
        number, port = self.tell("to", target)
        self.all.append(Link(self, number, port))
        return self.all[-1]

    def tell(self, what: str, *more: float) -> Any:
        """Have one thing done, and wait until it is."""
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps([what, *more]) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
