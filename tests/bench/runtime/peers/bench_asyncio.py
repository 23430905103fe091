#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The asyncio side of the runtime benchmark. Prints name<TAB>value<TAB>unit[<TAB>note]."""

import asyncio
import platform
from functools import partial
from itertools import islice

import measure as m

TASKS = 100_000  # of the figures that are about a million elsewhere, where tasks are needed
TIMERS = 1_000_000


async def figure_sleep_zero(name, timeout=None):
    async def hops(n):
        for _ in range(n):
            await asyncio.sleep(0)

    async def operation(n):
        async with asyncio.TaskGroup() as group:
            start = m.now()
            group.create_task(hops(n // 2))
            group.create_task(hops(n // 2))
        return m.now() - start

    async with asyncio.timeout(timeout):
        m.emit(name, await m.measure(operation), "ns", "asyncio.sleep(0)")


async def nothing():
    pass


async def figure_spawn_join(name, note):
    async def operation(n):
        start = m.now()
        groups = -(-n // m.GROUP)
        for _ in range(groups):
            async with asyncio.TaskGroup() as group:
                for _ in range(m.GROUP):
                    group.create_task(nothing())
        return (m.now() - start) * n // (groups * m.GROUP)

    m.emit(name, await m.measure(operation), "ns", note)


async def figure_spawn_join_one():
    async def operation(n):
        start = m.now()
        for _ in range(n):
            await asyncio.create_task(nothing())
        return m.now() - start

    m.emit("spawn_join_one", await m.measure(operation), "ns", "await create_task()")


async def figure_scope():
    async def operation(n):
        start = m.now()
        for _ in range(n):
            async with asyncio.timeout(None):
                pass
        return m.now() - start

    m.emit("scope", await m.measure(operation), "ns", "asyncio.timeout(None)")


async def figure_scope_deadline():
    async def operation(n):
        start = m.now()
        for i in range(n):
            async with asyncio.timeout(m.HOUR):
                pass
            if i % 1000 == 999:
                await asyncio.sleep(0)  # the loop drops cancelled timers
        return m.now() - start

    m.emit("scope_deadline", await m.measure(operation), "ns", "asyncio.timeout(3600)")


async def figure_channel_buffered():
    async def operation(n):
        ping, pong = asyncio.Queue(m.BUFFER), asyncio.Queue(m.BUFFER)

        async def echo():
            for _ in range(n):
                await pong.put(await ping.get())

        async with asyncio.TaskGroup() as group:
            group.create_task(echo())
            start = m.now()
            for i in range(n):
                await ping.put(i)
                if await pong.get() != i:
                    raise RuntimeError("wrong item")
            return m.now() - start

    m.emit("channel_buffered", await m.measure(operation), "ns", "asyncio.Queue(64)")


async def figure_handover_buffered():
    async def operation(n):
        queue = asyncio.Queue(m.BUFFER)

        async def send():
            for i in range(n):
                await queue.put(i)

        async with asyncio.TaskGroup() as group:
            start = m.now()
            group.create_task(send())
            for i in range(n):
                if await queue.get() != i:
                    raise RuntimeError("wrong item")
            return m.now() - start

    m.emit("handover_buffered", await m.measure(operation), "ns", "asyncio.Queue(64)")


async def figure_no_rendezvous_round_trip():
    m.not_applicable("channel_rendezvous", "asyncio has no rendezvous channel")


async def figure_no_rendezvous():
    m.not_applicable("handover_rendezvous", "asyncio has no rendezvous channel")


class Leave(Exception):
    pass


async def figure_cancel_join():
    results = []
    for _ in range(m.REPETITIONS):
        start = 0
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(m.SLEEPERS):
                    group.create_task(asyncio.sleep(m.HOUR))
                await asyncio.sleep(0.02)
                start = m.now()
                raise Leave
        except* Leave:
            pass
        results.append((m.now() - start) / m.SLEEPERS)
    m.emit("cancel_join", m.median(results), "ns", "the body of a TaskGroup fails")


async def figure_timer():
    loop = asyncio.get_running_loop()
    lead = m.LEAD + 7.0  # arming a million takes longer here
    offsets = [lead + x % 500_000_000 / 1e9 for x in islice(m.splitmix(1), TIMERS)]
    done = asyncio.Event()
    left = TIMERS

    def fire():
        nonlocal left
        left -= 1
        if left == 0:
            done.set()

    base = loop.time()
    start = m.now()
    for offset in offsets:
        loop.call_at(base + offset, fire)
    insert = m.now() - start
    m.hold(max(0.0, base + lead + m.WINDOW + m.PAST_HOLD - loop.time()))
    start = m.now()
    await done.wait()
    expire = m.now() - start
    note = f"loop.call_at: insert {insert / TIMERS:.0f} + expire {expire / TIMERS:.0f}"
    m.emit("timer", (insert + expire) / TIMERS, "ns", note)


async def figure_sleep():
    loop = asyncio.get_running_loop()
    offsets = [m.LEAD + x % 500_000_000 / 1e9 for x in islice(m.splitmix(1), TASKS)]
    begin, armed = asyncio.Event(), asyncio.Event()
    left = TASKS

    async def sleeper(offset):
        nonlocal left
        await begin.wait()
        left -= 1
        if left == 0:
            armed.set()
        await asyncio.sleep(offset)

    async with asyncio.TaskGroup() as group:
        for offset in offsets:
            group.create_task(sleeper(offset))
        await asyncio.sleep(0.2)
        base = loop.time()
        start = m.now()
        begin.set()
        await armed.wait()
        insert = m.now() - start
        m.hold(max(0.0, base + m.LEAD + m.WINDOW + m.PAST_HOLD + insert / 1e9 - loop.time()))
        start = m.now()
    expire = m.now() - start
    note = f"100 000 tasks: go to sleep {insert / TASKS:.0f} + wake and join {expire / TASKS:.0f}"
    m.emit("sleep", (insert + expire) / TASKS, "ns", note)


async def figure_deadline_update():
    loop = asyncio.get_running_loop()
    numbers = m.splitmix(1)
    base = loop.time() + m.HOUR

    def fire():
        pass

    armed = [loop.call_at(base + next(numbers) % 3600, fire) for _ in range(TIMERS)]

    async def operation(n):
        choices = [(next(numbers) % TIMERS, base + next(numbers) % 3600) for _ in range(n)]
        start = m.now()
        for i, (index, when) in enumerate(choices):
            armed[index].cancel()
            armed[index] = loop.call_at(when, fire)
            if i % 1000 == 999:
                await asyncio.sleep(0)  # the loop drops cancelled timers
        return m.now() - start

    m.emit("deadline_update", await m.measure(operation), "ns", "cancel() and call_at(), as asyncio.Timeout.reschedule does")


async def figure_restart():
    async def supervise(child):
        while True:
            try:
                return await asyncio.create_task(child())
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

    m.emit("restart", await m.measure(operation), "ns", "hand-written loop: create_task and except")


async def figure_live():
    loop = asyncio.get_running_loop()
    ready = 0

    async def waiter():  # a future each: cancelling the waiters of one asyncio.Event takes quadratic time
        nonlocal ready
        ready += 1
        await loop.create_future()

    resident, tables = m.resident_bytes(), m.page_table_bytes()
    start = m.now()
    begun = 0
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(waiter())
            while ready < TASKS:
                await asyncio.sleep(0)
            begun = m.now() - start
            resident, tables = m.resident_bytes() - resident, m.page_table_bytes() - tables
            start = m.now()
            raise Leave
    except* Leave:
        pass
    ended = m.now() - start
    m.emit("live_100k.start", begun / TASKS, "ns")
    m.emit("live_100k.bytes", resident / TASKS, "B")
    m.emit("live_100k.tables", tables / TASKS, "B")
    m.emit("live_100k.stop", ended / TASKS, "ns")


FIGURES = {
    "switch": m.figure_switch,
    "yield": partial(figure_sleep_zero, "yield"),
    "checkpoint": partial(figure_sleep_zero, "checkpoint"),
    "checkpoint_deadline": partial(figure_sleep_zero, "checkpoint_deadline", m.HOUR),
    "spawn_join": partial(figure_spawn_join, "spawn_join", "TaskGroup.create_task"),
    "spawn_join_group": partial(figure_spawn_join, "spawn_join_group", "as above: a TaskGroup always does"),
    "spawn_join_one": figure_spawn_join_one,
    "scope": figure_scope,
    "scope_deadline": figure_scope_deadline,
    "channel_rendezvous": figure_no_rendezvous_round_trip,
    "channel_buffered": figure_channel_buffered,
    "handover_rendezvous": figure_no_rendezvous,
    "handover_buffered": figure_handover_buffered,
    "cancel_join": figure_cancel_join,
    "timer": figure_timer,
    "sleep": figure_sleep,
    "deadline_update": figure_deadline_update,
    "restart": figure_restart,
    "live_100k": figure_live,
}

if __name__ == "__main__":
    m.main(FIGURES, f"Python {platform.python_version()}", lambda figure: asyncio.run(figure()))
