# SPDX-License-Identifier: MIT
"""Python websockets on uvloop: receive.py PORT SECONDS [tls]: messages a second, with the package's own settings."""
import asyncio
import os
import ssl
import sys
import time

import uvloop
import websockets


async def main():
    port, lasts = sys.argv[1], float(sys.argv[2])
    context = None
    if len(sys.argv) > 3:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    url = f"{'wss' if context else 'ws'}://127.0.0.1:{port}/"
    async with websockets.connect(url, ssl=context) as socket:
        count = 0
        since = time.monotonic()
        while time.monotonic() - since < lasts:
            await socket.recv()
            count += 1
        print(f"rate {count / (time.monotonic() - since):.0f}", flush=True)
        os._exit(0)  # no close handshake with a sender that does not read


uvloop.install()
asyncio.run(main())
