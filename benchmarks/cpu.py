"""CPU time and memory by process: what each side costs, the servers included; steadier than rates, which drift."""

from collections.abc import Mapping

import psutil


class Cpu:
    """The CPU time that named processes use from now on."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self._seconds()

    def microseconds_each(self, letters: int) -> dict[str, float]:
        """Microseconds per letter and process since the beginning."""
        now = self._seconds()
        return {name: round((now[name] - self._before[name]) / letters * 1e6, 1) for name in now}

    def megabytes(self) -> dict[str, float]:
        """The memory that each has now (RSS)."""
        return {name: round(process.memory_info().rss / 1e6, 1) for name, process in self._processes.items()}

    def _seconds(self) -> dict[str, float]:
        return {name: t.user + t.system for name, t in ((n, p.cpu_times()) for n, p in self._processes.items())}
