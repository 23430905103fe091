# SPDX-License-Identifier: MIT
"""What the Python peers send and must get back; ws_node.js has the same list."""
import random

SIZES = (0, 1, 125, 126, 127, 1000, 65535, 65536, 100_000, 1 << 20)


def messages():
    """Text and binary of every size, some of it compressible, some of it not."""
    source = random.Random(1)
    for size in SIZES:
        yield ("grüße \U0001f600 " * (size // 12 + 1))[:size]
        yield source.randbytes(size)
        yield b'{"e":"trade","p":"0.001","q":"100"}' * (size // 36)


def fragments():
    """Messages to send in parts; the parts of a text cut no character."""
    yield ["ein", "", "ß", " \U0001f600" * 5000]
    yield [b"\x00" * 70000, b"", b"\xff" * 3]
