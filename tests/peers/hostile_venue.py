# SPDX-License-Identifier: MIT
"""A venue that speaks Binance's protocol and means no good, in one way:

    hostile_venue.py PORT LOG cut|snapshot|mute|nonsense

cut: each connection is accepted, its subscription acknowledged, a trade sent; then it is closed.
snapshot: the order book of AAAUSDT is answered with a page in HTML, those of others as they should be.
mute: no request is ever answered. nonsense: each is, with something that is not HTTP.
LOG has a line for each connection of a WebSocket, and for each request.
"""
import asyncio
import base64
import hashlib
import json
import re
import struct
import sys

PORT, LOG, MODE = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ASSETS = ("AAA", "BBB")


def note(line):
    with open(LOG, "a", encoding="utf-8") as log:
        log.write(line + "\n")


def frame(opcode, payload):
    size = len(payload)
    head = bytes([0x80 | opcode, size]) if size < 126 else bytes([0x80 | opcode, 126]) + struct.pack(">H", size)
    return head + payload


def text(value):
    return frame(1, json.dumps(value).encode())


def answer(path):
    if "exchangeInfo" in path:
        return json.dumps({"symbols": [{"symbol": one + "USDT", "status": "TRADING", "baseAsset": one,
                                        "quoteAsset": "USDT", "filters": []} for one in ASSETS]})
    if "depth" not in path:
        return "[]"
    if MODE == "snapshot" and "AAAUSDT" in path:
        return "<html>Back soon.</html>"
    return json.dumps({"lastUpdateId": 100, "bids": [["99", "1"]], "asks": [["101", "1"]]})


async def read_frame(reader):
    head = await reader.readexactly(2)
    size = head[1] & 127
    if size == 126:
        size = struct.unpack(">H", await reader.readexactly(2))[0]
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    return head[0] & 15, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def stream(reader, writer):
    opcode, payload = await read_frame(reader)
    wish = json.loads(payload)
    writer.write(text({"result": None, "id": wish["id"]}))
    if MODE == "cut":
        trade = {"e": "trade", "E": 1700000000000, "s": "AAAUSDT", "t": 7, "p": "1", "q": "1", "T": 1700000000000,
                 "m": True, "M": True}
        writer.write(text({"stream": "aaausdt@trade", "data": trade}) + frame(8, struct.pack(">H", 1008) + b"go away"))
        await writer.drain()
    at = 101
    while MODE == "snapshot":
        for one in ASSETS:
            writer.write(text({"stream": one.lower() + "usdt@depth@100ms",
                               "data": {"e": "depthUpdate", "E": 1700000000000, "s": one + "USDT", "U": at, "u": at,
                                        "b": [["98", str(at)]], "a": []}}))
        await writer.drain()
        await asyncio.sleep(0.02)
        at += 1


async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
            note(("connection " if key else "request ") + path)
            if MODE == "mute":
                await asyncio.sleep(3600)
            if MODE == "nonsense":
                writer.write(b"\0\1 hello\r\n\r\n")
                return
            if key:
                digest = hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n")
                await stream(reader, writer)
                return
            body = answer(path).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT)
    async with server:
        await server.serve_forever()


asyncio.run(main())
