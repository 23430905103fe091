#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Python with websockets, uvloop and json: "market.py trades|depth|books PORT SECONDS INSTRUMENTS". As beast.cc."""
import asyncio
import json
import os
import sys
import time

import uvloop
import websockets

mode, port, lasts, wanted = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
last, books = {}, {}
gaps, volume = 0, 0.0


def on_trade(text):
    global gaps, volume
    event = json.loads(text)
    symbol, number = event["s"], event["t"]
    known = last.get(symbol)
    if known is not None and number != known + 1:
        gaps += 1
    last[symbol] = number
    price, quantity = float(event["p"]), float(event["q"])
    if event["m"] and event["E"] >= event["T"]:
        volume += price * quantity


def apply(side, changes):
    global volume
    for price, quantity in changes:
        price, quantity = float(price), float(quantity)
        volume += quantity
        if side is None:
            continue
        if quantity:
            side[price] = quantity
        else:
            side.pop(price, None)


def on_depth(text):
    global gaps
    event = json.loads(text)["data"]
    symbol = event["s"]
    known = last.get(symbol)
    if known is not None and event["pu"] != known:
        gaps += 1
    last[symbol] = event["u"]
    bids, asks = books.setdefault(symbol, ({}, {})) if mode == "books" else (None, None)
    apply(bids, event["b"])
    apply(asks, event["a"])


async def main():
    take = on_trade if mode == "trades" else on_depth
    async with websockets.connect(f"ws://127.0.0.1:{port}/", compression=None, max_queue=4096,
                                  read_limit=1 << 20, ping_interval=None) as socket:
        began, since, busy, count, start = time.monotonic(), None, 0, 0, 0
        while True:
            if count % 64 == 0:
                now = time.monotonic()
                if since is None and now - began > lasts / 10 and count >= min(2 * wanted, 20000):
                    since, busy, start = now, time.process_time(), count
                elif since is not None and now - since > lasts:
                    break
            take(await socket.recv())
            count += 1
        counted = count - start
        print(f"rate {counted / (time.monotonic() - since):.0f} rate_cpu {counted / (time.process_time() - busy):.0f} "
              f"gaps {gaps} volume {volume:.0f}", flush=True)
        os._exit(0)  # the feed answers no close


uvloop.install()
asyncio.run(main())
