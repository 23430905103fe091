# SPDX-License-Identifier: MIT
"""What a user of Python would write: a leaky bucket as aiolimiter's, retries as tenacity's. Prints name, value, unit, note."""
import asyncio
import random
import time

COUNT = 200_000


class LeakyBucket:
    """aiolimiter's algorithm: has_capacity() leaks, then compares; acquire() waits in an asyncio loop."""

    def __init__(self, most, period_s):
        self.most, self.rate = most, most / period_s
        self.level, self.last = 0.0, 0.0

    def has_capacity(self, now, amount):
        if self.level:
            self.level = max(self.level - (now - self.last) * self.rate, 0)
        self.last = now
        return self.level + amount <= self.most

    async def acquire(self, amount=1.0):
        loop = asyncio.get_running_loop()
        while not self.has_capacity(loop.time(), amount):
            await asyncio.sleep(1 / self.rate * amount)
        self.level += amount


class RetryState:
    """tenacity's loop: a state object, stop_after_attempt | stop_after_delay, wait_random_exponential, retry_if."""

    def __init__(self, now):
        self.began, self.attempt = now, 1

    def next(self, status, now):
        if status not in (408, 425, 429) and not 500 <= status <= 599:
            return None
        if self.attempt >= 1_000_000_000 or now - self.began >= 1e18:
            return None
        try:
            high = min(10.0, 0.2 * 2 ** (self.attempt % 8))
        except OverflowError:
            high = 10.0
        self.attempt += 1
        return random.uniform(0, high)


def figure(name, note, run):
    best = min(run() for _ in range(3))
    print(f"{name}\t{best * 1e9 / COUNT:.1f}\tns\t{note}")


def limiter():
    bucket, now, began = LeakyBucket(6000, 60.0), 1.0, time.thread_time()
    for i in range(COUNT):
        now += 0.025
        if bucket.has_capacity(now, 1 + i % 9):
            bucket.level += 1 + i % 9
    return time.thread_time() - began


def acquire():
    async def loop():
        bucket, began = LeakyBucket(1e12, 1.0), time.thread_time()
        for _ in range(COUNT):
            await bucket.acquire()
        return time.thread_time() - began

    return asyncio.run(loop())


def retry():
    state, now, began = RetryState(0.0), 0.0, time.thread_time()
    for _ in range(COUNT):
        now += 0.001
        state.next(503, now)
    return time.thread_time() - began


figure("limiter", "decision of an aiolimiter-style bucket", limiter)
figure("acquire", "the same, awaited", acquire)
figure("retry", "decision of a tenacity-style schedule", retry)
