#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Trio side of the runtime benchmark. Prints name<TAB>value<TAB>unit[<TAB>note]."""

from contextlib import ExitStack
from functools import partial
from itertools import islice

import measure as m
import trio
import trio.testing

TASKS = 100_000  # of the figures that are about a million elsewhere
NESTED = 100  # deadlines a task, of the timer figures


async def alternate(hop, n):
    async def hops():
        for _ in range(n // 2):
            await hop()

    async with trio.open_nursery() as nursery:
        start = m.now()
        nursery.start_soon(hops)
        nursery.start_soon(hops)
    return m.now() - start


async def figure_yield():
    async def operation(n):
        return await alternate(trio.lowlevel.cancel_shielded_checkpoint, n)

    m.emit("yield", await m.measure(operation), "ns", "cancel_shielded_checkpoint()")


async def figure_checkpoint(name="checkpoint"):
    async def operation(n):
        return await alternate(trio.lowlevel.checkpoint, n)

    m.emit(name, await m.measure(operation), "ns", "checkpoint()")


async def figure_checkpoint_deadline():
    with trio.move_on_after(m.HOUR):
        await figure_checkpoint("checkpoint_deadline")


async def nothing():
    pass


async def figure_spawn_join(name, note):
    async def operation(n):
        start = m.now()
        groups = -(-n // m.GROUP)
        for _ in range(groups):
            async with trio.open_nursery() as nursery:
                for _ in range(m.GROUP):
                    nursery.start_soon(nothing)
        return (m.now() - start) * n // (groups * m.GROUP)

    m.emit(name, await m.measure(operation), "ns", note)


async def figure_spawn_join_one():
    async def operation(n):
        start = m.now()
        for _ in range(n):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(nothing)
        return m.now() - start

    m.emit("spawn_join_one", await m.measure(operation), "ns", "a nursery each time")


async def figure_scope():
    async def operation(n):
        start = m.now()
        for _ in range(n):
            with trio.CancelScope():
                pass
        return m.now() - start

    m.emit("scope", await m.measure(operation), "ns", "CancelScope()")


async def figure_scope_deadline():
    async def operation(n):
        start = m.now()
        for _ in range(n):
            with trio.move_on_after(m.HOUR):
                pass
        return m.now() - start

    m.emit("scope_deadline", await m.measure(operation), "ns", "move_on_after(3600)")


async def round_trip(n, capacity):
    ping_in, ping_out = trio.open_memory_channel(capacity)
    pong_in, pong_out = trio.open_memory_channel(capacity)

    async def echo():
        async for item in ping_out:
            await pong_in.send(item)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo)
        start = m.now()
        for i in range(n):
            await ping_in.send(i)
            if await pong_out.receive() != i:
                raise RuntimeError("wrong item")
        elapsed = m.now() - start
        ping_in.close()
    return elapsed


async def one_way(n, capacity):
    sender, receiver = trio.open_memory_channel(capacity)

    async def send():
        for i in range(n):
            await sender.send(i)

    async with trio.open_nursery() as nursery:
        start = m.now()
        nursery.start_soon(send)
        for i in range(n):
            if await receiver.receive() != i:
                raise RuntimeError("wrong item")
        return m.now() - start


def channel_figure(name, run, capacity):
    async def figure():
        async def operation(n):
            return await run(n, capacity)

        m.emit(name, await m.measure(operation), "ns", f"open_memory_channel({capacity})")

    return figure


async def figure_cancel_join():
    results = []
    for _ in range(m.REPETITIONS):
        async with trio.open_nursery() as nursery:
            for _ in range(m.SLEEPERS):
                nursery.start_soon(trio.sleep, m.HOUR)
            await trio.testing.wait_all_tasks_blocked()
            start = m.now()
            nursery.cancel_scope.cancel()
        results.append((m.now() - start) / m.SLEEPERS)
    m.emit("cancel_join", m.median(results), "ns", "nursery.cancel_scope.cancel()")


async def with_open_scopes(run):
    """Runs `await run(scopes)` while TASKS cancel scopes are open, NESTED in each of some sleeping tasks."""
    scopes = []

    async def holder():
        with ExitStack() as stack:
            for _ in range(NESTED):
                scopes.append(stack.enter_context(trio.CancelScope()))
            with trio.CancelScope(shield=True):
                await release.wait()

    release = trio.Event()
    async with trio.open_nursery() as nursery:
        for _ in range(TASKS // NESTED):
            nursery.start_soon(holder)
        await trio.testing.wait_all_tasks_blocked()
        await run(scopes)
        release.set()


async def figure_timer():
    async def run(scopes):
        offsets = [m.LEAD + x % 500_000_000 / 1e9 for x in islice(m.splitmix(1), TASKS)]
        base = trio.current_time()
        start = m.now()
        for scope, offset in zip(scopes, offsets):
            scope.deadline = base + offset
        insert = m.now() - start
        m.hold(max(0.0, base + m.LEAD + m.WINDOW + m.PAST_HOLD - trio.current_time()))
        start = m.now()
        while trio.lowlevel.current_statistics().seconds_to_next_deadline < m.HOUR / 2:
            await trio.lowlevel.checkpoint()
        expire = m.now() - start
        if not all(scope.cancel_called for scope in scopes):
            raise RuntimeError("a deadline was lost")
        note = f"deadlines of 100 000 scopes: insert {insert / TASKS:.0f} + expire {expire / TASKS:.0f}"
        m.emit("timer", (insert + expire) / TASKS, "ns", note)

    await with_open_scopes(run)


async def figure_sleep():
    offsets = [m.LEAD + x % 500_000_000 / 1e9 for x in islice(m.splitmix(1), TASKS)]
    begin, armed = trio.Event(), trio.Event()
    left = TASKS

    async def sleeper(offset):
        nonlocal left
        await begin.wait()
        left -= 1
        if left == 0:
            armed.set()
        await trio.sleep(offset)

    async with trio.open_nursery() as nursery:
        for offset in offsets:
            nursery.start_soon(sleeper, offset)
        await trio.testing.wait_all_tasks_blocked()
        base = trio.current_time()
        start = m.now()
        begin.set()
        await armed.wait()
        insert = m.now() - start
        m.hold(max(0.0, base + m.LEAD + m.WINDOW + m.PAST_HOLD + insert / 1e9 - trio.current_time()))
        start = m.now()
    expire = m.now() - start
    note = f"100 000 tasks: go to sleep {insert / TASKS:.0f} + wake and join {expire / TASKS:.0f}"
    m.emit("sleep", (insert + expire) / TASKS, "ns", note)


async def figure_deadline_update():
    async def run(scopes):
        numbers = m.splitmix(1)
        base = trio.current_time() + m.HOUR
        for scope in scopes:
            scope.deadline = base + next(numbers) % 3600

        async def operation(n):
            choices = [(next(numbers) % TASKS, base + next(numbers) % 3600) for _ in range(n)]
            start = m.now()
            for index, when in choices:
                scopes[index].deadline = when
            return m.now() - start

        m.emit("deadline_update", await m.measure(operation), "ns", "CancelScope.deadline of one among 100 000")

    await with_open_scopes(run)


async def figure_restart():
    async def supervise(child):
        while True:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(child)
                return
            except OSError:
                pass

    async def operation(n):
        runs = 0

        async def flaky():
            nonlocal runs
            runs += 1
            if runs <= n:
                raise ConnectionResetError("connection reset")

        start = m.now()
        await supervise(flaky)
        return m.now() - start

    m.emit("restart", await m.measure(operation), "ns", "hand-written loop: nursery and except")


async def figure_live():
    event = trio.Event()
    ready = 0

    async def waiter():
        nonlocal ready
        ready += 1
        await event.wait()

    resident, tables = m.resident_bytes(), m.page_table_bytes()
    start = m.now()
    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(waiter)
        while ready < TASKS:
            await trio.lowlevel.checkpoint()
        begun = m.now() - start
        resident, tables = m.resident_bytes() - resident, m.page_table_bytes() - tables
        start = m.now()
        nursery.cancel_scope.cancel()
    ended = m.now() - start
    m.emit("live_100k.start", begun / TASKS, "ns")
    m.emit("live_100k.bytes", resident / TASKS, "B")
    m.emit("live_100k.tables", tables / TASKS, "B")
    m.emit("live_100k.stop", ended / TASKS, "ns")


FIGURES = {
    "switch": m.figure_switch,
    "yield": figure_yield,
    "checkpoint": figure_checkpoint,
    "checkpoint_deadline": figure_checkpoint_deadline,
    "spawn_join": partial(figure_spawn_join, "spawn_join", "nursery.start_soon"),
    "spawn_join_group": partial(figure_spawn_join, "spawn_join_group", "as above: a nursery always does"),
    "spawn_join_one": figure_spawn_join_one,
    "scope": figure_scope,
    "scope_deadline": figure_scope_deadline,
    "channel_rendezvous": channel_figure("channel_rendezvous", round_trip, 0),
    "channel_buffered": channel_figure("channel_buffered", round_trip, m.BUFFER),
    "handover_rendezvous": channel_figure("handover_rendezvous", one_way, 0),
    "handover_buffered": channel_figure("handover_buffered", one_way, m.BUFFER),
    "cancel_join": figure_cancel_join,
    "timer": figure_timer,
    "sleep": figure_sleep,
    "deadline_update": figure_deadline_update,
    "restart": figure_restart,
    "live_100k": figure_live,
}

if __name__ == "__main__":
    m.main(FIGURES, f"Trio {trio.__version__}", trio.run)
