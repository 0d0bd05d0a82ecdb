"""What is measured of an end: seconds of each request, bytes per second of one stream, memory."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from bench.ends import End

SMALL = "/version"
MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Of many requests, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        cuts = statistics.quantiles(seconds, n=100)
        return cls(p50=cuts[49] * 1000, p99=cuts[98] * 1000)


def keep_alive(ends: Sequence[End], *, rounds: int = 20, each: int = 100) -> dict[str, Latency]:
    """Small GETs on one connection to each end, in turns, so that the machine's mood hits all."""
    open_ends = [(end, end.connect()) for end in ends]
    taken: dict[str, list[float]] = {end.name: [] for end in ends}
    for _ in range(rounds):
        for end, connection in open_ends:
            for _ in range(each):
                started = time.perf_counter()
                end.get(connection, SMALL).read()
                taken[end.name].append(time.perf_counter() - started)
    for _, connection in open_ends:
        connection.close()
    return {name: Latency.of(seconds) for name, seconds in taken.items()}


def new_connection(ends: Sequence[End], *, rounds: int = 100) -> dict[str, Latency]:
    """A connection, TLS, and a small GET on it, to each end in turns."""
    taken: dict[str, list[float]] = {end.name: [] for end in ends}
    for _ in range(rounds):
        for end in ends:
            started = time.perf_counter()
            connection = end.connect()
            end.get(connection, SMALL).read()
            taken[end.name].append(time.perf_counter() - started)
            connection.close()
    return {name: Latency.of(seconds) for name, seconds in taken.items()}


def throughput(ends: Sequence[End], path: str, *, rounds: int = 5) -> dict[str, float]:
    """Median MB/s of one large GET, to each end in turns."""
    taken: dict[str, list[float]] = {end.name: [] for end in ends}
    buffer = bytearray(MIB)
    for _ in range(rounds):
        for end in ends:
            connection = end.connect()
            started = time.perf_counter()
            answer = end.get(connection, path)
            size = 0
            while count := answer.readinto(buffer):
                size += count
            taken[end.name].append(size / (time.perf_counter() - started) / 1e6)
            connection.close()
    return {name: statistics.median(rates) for name, rates in taken.items()}


def processor_time(end: End, pids: dict[str, int], *, requests: int = 3000) -> dict[str, float]:
    """Milliseconds of processor time that a small GET costs each process."""
    connection = end.connect()
    before = {name: _used(pid) for name, pid in pids.items()}
    for _ in range(requests):
        end.get(connection, SMALL).read()
    used = {name: (_used(pid) - before[name]) * 1000 / requests for name, pid in pids.items()}
    connection.close()
    return used


def _used(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident(pids: dict[str, int]) -> dict[str, float]:
    """Resident memory of each process, in MiB."""
    return {name: psutil.Process(pid).memory_info().rss / MIB for name, pid in pids.items()}
