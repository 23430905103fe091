# SPDX-License-Identifier: MIT
"""What the two Python sides of the runtime benchmark share: timing, output, random numbers, memory."""

import sys
import time

MINIMUM_NS = 100_000_000  # of one measurement, by doubling the number of operations
REPETITIONS = 3
GROUP = 1000  # tasks spawned before they are joined
BUFFER = 64  # items
SLEEPERS = 10_000  # of cancel_join
HOUR = 3600.0
LEAD = 3.0  # seconds: no deadline of the timer figures is earlier
WINDOW = 0.5  # seconds: all of them lie within
PAST_HOLD = 0.02

now = time.perf_counter_ns
hold = time.sleep  # blocks the loop's thread on purpose: waiting is not part of the figure


def emit(name, value, unit, note=""):
    print(name, f"{value:.1f}", unit, *([note] if note else []), sep="\t", flush=True)


def not_applicable(name, reason):
    print(name, "n/a", "", reason, sep="\t", flush=True)


def median(values):
    return sorted(values)[len(values) // 2]


async def measure(operation):
    """Nanoseconds per operation of `await operation(n)`, which does n and returns the ns they took."""
    n = 100
    while await operation(n) < MINIMUM_NS:
        n *= 2
    return median([await operation(n) / n for _ in range(REPETITIONS)])


def splitmix(seed):
    """splitmix64, as in the other programs; a generator of 64-bit numbers."""
    mask = (1 << 64) - 1
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    return pages * 4096


def page_table_bytes():
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmPTE:"):
                return int(line.split()[1]) * 1024
    return 0


class Switch:
    """The bare switch of Python: resuming a coroutine and coming back, without any scheduler."""

    class Hop:
        def __await__(self):
            yield

    async def body(self, n):
        hop = self.Hop()
        for _ in range(n):
            await hop

    def run(self, n):
        coroutine = self.body(n)
        send = coroutine.send
        start = now()
        for _ in range(n // 2):  # one operation is one way
            send(None)
        elapsed = now() - start
        coroutine.close()
        return elapsed


async def figure_switch():
    async def operation(n):
        return Switch().run(n)

    emit("switch", await measure(operation), "ns", "coroutine.send() and back, no scheduler")


def main(figures, version, run):
    """Runs the figures named on the command line, each in its own event loop."""
    if sys.argv[1:] == ["version"]:
        print(version)
        return
    for name in sys.argv[1:]:
        if name in figures:
            run(figures[name])
