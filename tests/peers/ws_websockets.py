# SPDX-License-Identifier: MIT
"""The package websockets as a peer:   ws_websockets.py server|client URL deflate|plain

The server prints the URL it listens on, sends every message to a client that echoes, and prints "ok".
"""
import asyncio
import os
import sys

import websockets

from ws_cases import fragments, messages

ROLE, URL, MODE = sys.argv[1:4]
OPTIONS = {"compression": "deflate" if MODE == "deflate" else None, "max_size": None, "ping_interval": None}
CASES = [(message, message) for message in messages()]
CASES += [(parts, type(parts[0])().join(parts)) for parts in fragments()]


async def exchange(connection, case):
    sent, wanted = case
    await connection.send(sent)
    got = await connection.recv()
    assert got == wanted, (type(got), len(got), len(wanted))
    await asyncio.wait_for(await connection.ping(b"are you there"), 20)


async def run_client():
    async with websockets.connect(URL, **OPTIONS) as connection:
        assert bool(connection.extensions) == (MODE == "deflate"), connection.extensions
        for case in CASES:
            await exchange(connection, case)
        await connection.close(4001, "bye")
        assert (connection.close_code, connection.close_rcvd.code) == (4001, 4001)
    print("ok", flush=True)


async def run_server():
    done = asyncio.Event()

    async def serve(connection):
        if connection.path == "/getCaseCount":
            await connection.send(str(len(CASES)))
        elif connection.path.startswith("/runCase"):
            assert bool(connection.extensions) == (MODE == "deflate"), connection.extensions
            number = int(connection.path.split("case=")[1].split("&")[0])
            await exchange(connection, CASES[number - 1])
            await connection.close(1000, "next")
            assert connection.close_rcvd.code == 1000
            seen.add(number)
        else:
            done.set()

    seen = set()
    async with websockets.serve(serve, "127.0.0.1", 0, **OPTIONS) as server:
        print("ws://127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
        await done.wait()
    assert len(seen) == len(CASES), seen
    print("ok", flush=True)


asyncio.run(run_client() if ROLE == "client" else run_server())
os._exit(0)
