// SPDX-License-Identifier: MIT
// The package ws of Node.js as a peer:   ws_node.js server|client URL deflate|plain   (as ws_websockets.py)
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const WebSocket = require('ws');

const [role, url, mode] = process.argv.slice(2);
const deflate = mode === 'deflate';
const perMessageDeflate = deflate ? { threshold: 0 } : false;
const sizes = [0, 1, 125, 126, 127, 1000, 65535, 65536, 100000, 1 << 20];
const cases = [];
for (const size of sizes) {
    const text = 'grüße 😀 '.repeat(size / 12 + 1).slice(0, size);
    cases.push([text.endsWith('\ud83d') ? text.slice(0, -1) : text], [crypto.randomBytes(size)]);
    cases.push([Buffer.from('{"e":"trade","p":"0.001","q":"100"}'.repeat(size / 36))]);
}
cases.push(['ein', '', 'ß', ' 😀'.repeat(5000)], [Buffer.alloc(70000), Buffer.alloc(0), Buffer.from('abc')]);

// Sends the parts as the fragments of one message and calls back with what was echoed, and a pong.
function exchange(socket, parts, next) {
    const binary = typeof parts[0] !== 'string';
    socket.once('message', (data, isBinary) => {
        assert.strictEqual(isBinary, binary);
        assert.ok(data.equals(Buffer.concat(parts.map((part) => Buffer.from(part)))), `${data.length} bytes differ`);
        socket.once('pong', (payload) => {
            assert.strictEqual(payload.toString(), 'are you there');
            next();
        });
        socket.ping('are you there');
    });
    parts.forEach((part, i) => socket.send(part, { binary, fin: i === parts.length - 1, compress: deflate }));
}

function runClient() {
    const socket = new WebSocket(url, { perMessageDeflate, maxPayload: 0 });
    let number = 0;
    const next = () => (number === cases.length ? socket.close(4001, 'bye') : exchange(socket, cases[number++], next));
    socket.on('open', () => {
        assert.strictEqual(socket.extensions !== '', deflate);
        next();
    });
    socket.on('close', (code) => {
        assert.strictEqual(code, 4001);
        console.log('ok');
    });
}

function runServer() {
    const server = new WebSocket.Server({ host: '127.0.0.1', port: 0, perMessageDeflate, maxPayload: 0 });
    const seen = new Set();
    server.on('listening', () => console.log(`ws://127.0.0.1:${server.address().port}`));
    server.on('connection', (socket, request) => {
        const target = new URL(request.url, 'http://x');
        if (target.pathname === '/getCaseCount') {
            socket.send(String(cases.length));
            socket.close(1000);
        } else if (target.pathname === '/runCase') {
            assert.strictEqual(socket.extensions !== '', deflate);
            const number = Number(target.searchParams.get('case'));
            exchange(socket, cases[number - 1], () => socket.close(1000, 'next'));
            socket.on('close', (code) => {
                assert.strictEqual(code, 1000);
                seen.add(number);
            });
        } else {
            socket.close(1000);
            server.close(() => {
                assert.strictEqual(seen.size, cases.length);
                console.log('ok');
            });
        }
    });
}

(role === 'client' ? runClient : runServer)();
