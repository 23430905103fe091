# SPDX-License-Identifier: MIT
"""aiohttp as a peer:   ws_aiohttp.py server|client URL deflate|plain   (as ws_websockets.py)"""
import asyncio
import os
import sys

from aiohttp import ClientSession, WSMsgType, web

from ws_cases import messages

ROLE, URL, MODE = sys.argv[1:4]
CASES = list(messages())
DEFLATE = MODE == "deflate"


async def exchange(connection, case):
    await (connection.send_str(case) if isinstance(case, str) else connection.send_bytes(case))
    got = await connection.receive()
    assert got.type == (WSMsgType.TEXT if isinstance(case, str) else WSMsgType.BINARY), got.type
    assert got.data == case, (len(got.data), len(case))


async def run_client():
    async with ClientSession() as session:
        async with session.ws_connect(URL, max_msg_size=0, compress=15 if DEFLATE else 0) as connection:
            assert bool(connection.compress) == DEFLATE, connection.compress
            for case in CASES:
                await exchange(connection, case)
            await connection.close(code=4001, message=b"bye")
            assert connection.close_code == 4001, connection.close_code
    print("ok", flush=True)


async def run_server():
    done = asyncio.Event()
    seen = set()

    async def serve(request):
        connection = web.WebSocketResponse(max_msg_size=0, compress=DEFLATE)
        await connection.prepare(request)
        if request.path == "/getCaseCount":
            await connection.send_str(str(len(CASES)))
        elif request.path == "/runCase":
            assert bool(connection.compress) == DEFLATE, connection.compress
            number = int(request.query["case"])
            await exchange(connection, CASES[number - 1])
            seen.add(number)
        else:
            done.set()
        await connection.close()
        assert connection.close_code == 1000, connection.close_code
        return connection

    application = web.Application()
    application.router.add_get("/{path}", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print("ws://127.0.0.1:%d" % site._server.sockets[0].getsockname()[1], flush=True)
    await done.wait()
    assert len(seen) == len(CASES), seen
    print("ok", flush=True)
    await asyncio.sleep(0.2)  # the last close handshake


asyncio.run(run_client() if ROLE == "client" else run_server())
os._exit(0)
