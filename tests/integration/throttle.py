# SPDX-License-Identifier: MIT
"""A line that is slow: what clients send reaches the server at so many bytes a second on each connection; answers come at once.

usage: throttle.py LISTEN_PORT SERVER_PORT BYTES_A_SECOND     SIGUSR1 makes it as quick as the machine
"""
import asyncio
import signal
import sys

STEP_SECONDS = 0.02

listen_port, server_port, rate = map(int, sys.argv[1:])


async def copy(reader, writer, slowly):
    try:
        while data := await reader.read(int(rate * STEP_SECONDS) if slowly and rate else 65536):
            writer.write(data)
            await writer.drain()
            if slowly and rate:
                await asyncio.sleep(len(data) / rate)
    except OSError:
        pass
    writer.close()


async def serve(reader, writer):
    back_reader, back_writer = await asyncio.open_connection("127.0.0.1", server_port)
    await asyncio.gather(copy(reader, back_writer, True), copy(back_reader, writer, False))


def let_go():
    global rate
    rate = 0


async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, let_go)
    # A small window, so that what waits does so at the sender.
    server = await asyncio.start_server(serve, "127.0.0.1", listen_port, limit=4096)
    await server.serve_forever()


asyncio.run(main())
