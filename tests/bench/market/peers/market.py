#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Python with websockets, uvloop and json, as its users write it, with the defaults of the libraries:
"market.py trades|depth|books PORT SECONDS INSTRUMENTS".

What is done with a message is what market.hpp does: prices and quantities exactly (Decimal), the time of receiving, repeats
dropped, gaps counted by each symbol's ids; books are dictionaries, which need no order for this.
"""
import asyncio
import json
import os
import sys
import time
from decimal import Decimal

import uvloop
import websockets

mode, port, lasts, wanted = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
last, received, books = {}, {}, {}
gaps, repeated, volume = 0, 0, Decimal(0)


def follows(symbol, number, previous):
    """Whether the event is new; notes what is missing before it."""
    global gaps, repeated
    known = last.get(symbol)
    if known is not None and number <= known:
        repeated += 1
        return False
    if known is not None and previous != known:
        gaps += 1
    last[symbol] = number
    received[symbol] = time.time_ns()
    return True


def on_trade(text):
    global volume
    event = json.loads(text)
    price, quantity = Decimal(event["p"]), Decimal(event["q"])
    if follows(event["s"], event["t"], event["t"] - 1) and event["m"] and event["E"] >= event["T"] and price > 0:
        volume += quantity


def apply(side, changes):
    global volume
    for price, quantity in changes:
        price, quantity = Decimal(price), Decimal(quantity)
        volume += quantity
        if side is None:
            continue
        if quantity:
            side[price] = quantity
        else:
            side.pop(price, None)


def on_depth(text):
    event = json.loads(text)["data"]
    symbol = event["s"]
    if not follows(symbol, event["u"], event["pu"]):
        return
    bids, asks = books.setdefault(symbol, ({}, {})) if mode == "books" else (None, None)
    apply(bids, event["b"])
    apply(asks, event["a"])


async def main():
    take = on_trade if mode == "trades" else on_depth
    async with websockets.connect(f"ws://127.0.0.1:{port}/") as socket:
        began, since, busy, count, start = time.monotonic(), None, 0, 0, 0
        async for message in socket:
            if count % 64 == 0:
                now = time.monotonic()
                if since is None and now - began > lasts / 10 and count >= min(2 * wanted, 20000):
                    since, busy, start = now, time.process_time(), count
                elif since is not None and now - since > lasts:
                    break
            take(message)
            count += 1
        counted = count - start
        print(f"rate {counted / (time.monotonic() - since):.0f} rate_cpu {counted / (time.process_time() - busy):.0f} "
              f"gaps {gaps + repeated} volume {volume:.0f}", flush=True)
        os._exit(0)  # the feed answers no close


uvloop.install()
asyncio.run(main())
