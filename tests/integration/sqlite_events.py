# SPDX-License-Identifier: MIT
"""Prints the trades of a database of ours, and what it tells of missing ones, as events, one JSON object a line.

usage: sqlite_events.py DATABASE
"""
import json
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
for venue, symbol, name, price, quantity, taker in database.execute(
        "SELECT venue, instrument, trade_id, price, quantity, taker FROM trades"):
    print(json.dumps({"kind": "trade", "venue": venue, "symbol": symbol, "id": name, "price": price,
                      "quantity": quantity, "taker": taker, "connection": 1}))
for venue, symbol, first, last in database.execute(
        "SELECT venue, instrument, from_id, to_id FROM gaps WHERE channel = 'trades'"):
    print(json.dumps({"kind": "gap", "feed": "trades", "venue": venue, "symbol": symbol, "from_id": first, "to_id": last}))
