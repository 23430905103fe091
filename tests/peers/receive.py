# SPDX-License-Identifier: MIT
"""Clients of `kind: receive`, by implementations of others (aiohttp, websockets, plain sockets).

    receive.py SCENARIO PORT [FILE]      prints "good", or says what was not as it should be and ends with 1
"""
import asyncio
import hashlib
import hmac
import json
import socket
import ssl
import sys
import time

import aiohttp
import websockets

KEY = "an api key of the tests"
SECRETS = {"new": "a secret of the tests", "old": "an older secret of them"}


def trade(number, **more):
    event = {"kind": "trade", "instrument": "A-B", "id": number, "price": "1.50", "quantity": "2", "taker": "buy"}
    event.update(more)
    return event


def expect(what, got, wanted):
    if got != wanted:
        print(f"{what}: {got!r}, expected {wanted!r}")
        sys.exit(1)


def counts(answer):
    return tuple(answer[name] for name in ("status", "accepted", "repeated", "refused"))


def signed(body, key="new", when=None, secret=None):
    when = str(int(time.time() if when is None else when))
    text = when.encode() + b"." + body
    signature = hmac.new((secret or SECRETS[key]).encode(), text, hashlib.sha256).hexdigest()
    return {"X-Signature": signature, "X-Timestamp": when, "X-Key-Id": key}


async def plain(port):
    """POSTs and messages without any guard."""
    url = f"http://127.0.0.1:{port}/ingest"
    async with aiohttp.ClientSession() as session:
        async def post(data, **more):
            async with session.post(url, data=data, **more) as response:
                return response.status, await response.json()
        expect("one", counts((await post(json.dumps(trade(1))))[1]), (200, 1, 0, 0))
        expect("again", counts((await post(json.dumps(trade(1))))[1]), (200, 0, 1, 0))
        status, answer = await post(json.dumps([trade(2), trade(3, price=1.5), trade(4), 7]))
        expect("mixed", (status, counts(answer)), (207, (207, 2, 0, 2)))
        expect("where", [(error["item"], error["path"]) for error in answer["errors"]], [(1, "price"), (3, "")])
        status, answer = await post("\n".join(json.dumps(trade(number)) for number in range(5, 105)))
        expect("lines", (status, counts(answer)), (200, (200, 100, 0, 0)))
        status, answer = await post("\n".join("nonsense" for _ in range(1000)))
        expect("nonsense", (status, counts(answer), len(answer["errors"])), (422, (422, 0, 0, 1000), 100))
        ticker = {"kind": "ticker", "instrument": "A-B", "last": "5"}
        for wanted in ((200, 1, 0, 0), (200, 1, 0, 0)):  # it has no number: each is a new one
            expect("ticker", counts((await post(json.dumps(ticker)))[1]), wanted)
        for wanted in ((200, 2, 0, 0), (200, 0, 2, 0)):
            answer = await post(json.dumps([ticker, ticker]), headers={"Idempotency-Key": "batch 1"})
            expect("batch with a key", counts(answer[1]), wanted)
        for key, wanted in (("k" * 255, 200), ("k" * 256, 400), ("", 400)):  # a key that is cut off is another one's
            expect("a key of %d" % len(key), (await post(json.dumps([ticker]), headers={"Idempotency-Key": key}))[0], wanted)
        expect("nothing", (await post(b""))[0], 400)
        expect("not UTF-8", (await post(b'{"kind":"\xff"}'))[0], 422)
        async with session.post(url, data=b"x" * 70000) as response:
            expect("oversize", response.status, 413)
        async with session.post(url + "/more", data=b"{}") as response:
            expect("elsewhere", response.status, 404)
        async with session.put(url, data=b"{}") as response:
            expect("PUT", response.status, 405)
        async with session.post(url, data=b"{}", headers={"Content-Encoding": "gzip"}) as response:
            expect("packed", response.status, 415)
        async with session.ws_connect(url) as ws:
            await ws.send_str(json.dumps(trade(105)))
            expect("aiohttp", counts(json.loads((await ws.receive()).data)), (200, 1, 0, 0))
    async with websockets.connect(f"ws://127.0.0.1:{port}/ingest") as ws:
        for number in range(106, 206):
            await ws.send(json.dumps(trade(number)))
        for number in range(106, 206):
            expect("message", counts(json.loads(await ws.recv())), (200, 1, 0, 0))
        await ws.send(json.dumps([trade(205), trade(206), {"kind": "trade"}]))
        expect("batch", counts(json.loads(await ws.recv())), (207, 1, 1, 1))
        await ws.send("[")
        expect("broken", counts(json.loads(await ws.recv())), (422, 0, 0, 1))
        await ws.send("x" * 70000)
        try:
            await ws.recv()
            expect("oversize", "an answer", "a close")
        except websockets.ConnectionClosed as closed:
            expect("oversize", closed.code, 1009)


async def guarded(port):
    """An API key and signatures: nobody else gets in, and no signature is taken twice."""
    url = f"http://127.0.0.1:{port}/ingest"
    good = {"X-API-Key": KEY}
    async with aiohttp.ClientSession() as session:
        async def post(body, *headers):
            merged = {name: value for some in headers for name, value in some.items()}
            async with session.post(url, data=body, headers=merged) as response:
                return response.status
        body = json.dumps(trade(1)).encode()
        expect("no key", await post(body, signed(body)), 401)
        expect("wrong key", await post(body, signed(body), {"X-API-Key": KEY + "x"}), 401)
        expect("no signature", await post(body, good), 401)
        expect("wrong secret", await post(body, good, signed(body, secret="x" * 20)), 401)
        expect("another body", await post(body + b" ", good, signed(body)), 401)
        expect("too old", await post(body, good, signed(body, when=time.time() - 400)), 401)
        expect("of tomorrow", await post(body, good, signed(body, when=time.time() + 400)), 401)
        expect("unknown key", await post(body, good, signed(body), {"X-Key-Id": "none"}), 401)
        expect("key of another", await post(body, good, signed(body), {"X-Key-Id": "old"}), 401)
        headers = signed(body)
        expect("good", await post(body, good, headers), 200)
        expect("replayed", await post(body, good, headers), 409)
        expect("older key", await post(body, {"Authorization": "Bearer " + KEY}, signed(body, key="old")), 200)
    for headers in ({}, good, signed(b"")):
        try:
            async with websockets.connect(f"ws://127.0.0.1:{port}/ingest", extra_headers=headers):
                expect("a stranger's WebSocket", "open", "refused")
        except websockets.InvalidStatusCode as refused:
            expect("a stranger's WebSocket", refused.status_code, 401)
    headers = {**good, **signed(b"")}
    async with websockets.connect(f"ws://127.0.0.1:{port}/ingest", extra_headers=headers) as ws:
        await ws.send(json.dumps(trade(2)))
        expect("message", counts(json.loads(await ws.recv())), (200, 1, 0, 0))
    try:
        async with websockets.connect(f"ws://127.0.0.1:{port}/ingest", extra_headers=headers):
            expect("a replayed handshake", "open", "refused")
    except websockets.InvalidStatusCode as refused:
        expect("a replayed handshake", refused.status_code, 409)


async def tls(port, authority):
    """https and wss."""
    context = ssl.create_default_context(cafile=authority)
    async with aiohttp.ClientSession() as session:
        async with session.post(f"https://localhost:{port}/ingest", data=json.dumps(trade(1)), ssl=context) as response:
            expect("https", counts(await response.json()), (200, 1, 0, 0))
    async with websockets.connect(f"wss://localhost:{port}/ingest", ssl=context) as ws:
        await ws.send(json.dumps(trade(2)))
        expect("wss", counts(json.loads(await ws.recv())), (200, 1, 0, 0))


async def slow(port):
    """Many who begin and do not go on keep nobody else waiting."""
    idle = []
    for at in range(200):
        client = socket.create_connection(("127.0.0.1", port))
        head = b"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n"
        client.sendall(head[:5 + at % 40] if at % 2 == 0 else head + b"\r\n{\"kind\":")
        idle.append(client)
    url = f"http://127.0.0.1:{port}/ingest"
    began = time.monotonic()
    async with aiohttp.ClientSession() as session:
        for number in range(100):
            async with session.post(url, data=json.dumps(trade(number))) as response:
                expect("beside slow ones", counts(await response.json()), (200, 1, 0, 0))
    expect("time", time.monotonic() - began < 9, True)  # theirs is 10 s and more
    for client in idle:
        client.close()


async def fast(port):
    """An address over its rate is told to wait, and for how long."""
    url = f"http://127.0.0.1:{port}/ingest"
    async with aiohttp.ClientSession() as session:
        statuses = []
        for number in range(30):
            async with session.post(url, data=json.dumps(trade(number))) as response:
                statuses.append(response.status)
                if response.status == 429:
                    expect("wait", int(response.headers["Retry-After"]) >= 1, True)
                    expect("error", "error" in await response.json(), True)
        expect("taken", 1 <= statuses.count(200) <= 25, True)
        expect("told to wait", statuses.count(429), 30 - statuses.count(200))


async def pressed(port, count):
    """Sends trades in batches, and what was not taken again as it is told, until all are taken."""
    url, full, accepted = f"http://127.0.0.1:{port}/ingest", 0, 0
    async with aiohttp.ClientSession() as session:
        async def send(events):
            nonlocal full, accepted
            while True:
                async with session.post(url, data=json.dumps(events)) as response:
                    answer = await response.json()
                    if response.status == 200:
                        accepted += answer["accepted"]
                        return
                    expect("full", (response.status, response.headers["Retry-After"]), (503, "1"))
                    accepted += answer["accepted"]
                    expect("from where", answer["untaken_from"], answer["accepted"] + answer["repeated"])
                    if full == 0:
                        print("full", flush=True)  # whoever started us starts the sink's server now
                    full += 1
                await asyncio.sleep(0.1)
        for first in range(0, int(count), 250):
            await send([trade(number) for number in range(first, first + 250)])
    expect("accepted", accepted, int(count))
    expect("was full", full > 0, True)


def main():
    scenario, port, rest = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    asyncio.run(asyncio.wait_for(globals()[scenario](port, *rest), 50))
    print("good")


main()
