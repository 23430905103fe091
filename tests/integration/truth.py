# SPDX-License-Identifier: MIT
"""Compares what a file sink holds with what truly happened (`sluice exchange --truth`): trade for trade, book for book.

usage: truth.py [--stopped|--behind] TRUTH.ndjson SINK.ndjson...   says what it found; exits with 1 when something is neither
there nor told. --stopped: the exchange was stopped amid its market, and its last few trades may never have been sent;
--behind: nor many, because the client kept it waiting.
"""
import json
import sys
from decimal import Decimal


LAST_WORDS = 20  # trades of one instrument


def key(event):
    return event["venue"], event["symbol"]


def trade(event):
    return event["id"], event["price"], event["quantity"], event["taker"]


def levels(side):
    return {Decimal(price): Decimal(quantity) for price, quantity in side if Decimal(quantity) != 0}


def apply(book, event):
    for name, best_first in (("bids", True), ("asks", False)):
        if event["kind"] == "book_snapshot":
            book[name] = levels(event[name])
            continue
        for price, quantity in event[name]:
            if Decimal(quantity) == 0:
                book[name].pop(Decimal(price), None)
            else:
                book[name][Decimal(price)] = Decimal(quantity)
        depth = event.get("depth", 0)
        if depth and len(book[name]) > depth:
            kept = sorted(book[name], reverse=best_first)[:depth]
            book[name] = {price: book[name][price] for price in kept}


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main():
    true_trades, true_books = {}, {}
    stopped = sys.argv[1] in ("--stopped", "--behind")
    last_words = LAST_WORDS if sys.argv[1] == "--stopped" else 0  # 0: all
    truth, *sinks = sys.argv[2:] if stopped else sys.argv[1:]
    for event in read(truth):
        if event["kind"] == "trade":
            true_trades.setdefault(key(event), {})[str(event["id"])] = trade(event)
        elif event["kind"] == "book_snapshot" and event["feed"] == "snapshot":
            true_books[key(event)] = {"bids": levels(event["bids"]), "asks": levels(event["asks"])}
    trades, books, gaps, stale = {}, {}, {}, {}
    found = {"trades": 0, "told": 0, "unseen": 0, "untold": 0, "again": 0, "doubled": 0, "wrong": 0}
    found.update({"books": 0, "books_wrong": 0})
    for path in sinks:
        for event in read(path):
            where = key(event)
            if event["kind"] == "trade":
                name = str(event["id"])
                again = name in trades.setdefault(where, {})
                by_job = again and event["connection"] == 0  # a gap's filling that was tried again: at least once
                found["again"] += by_job
                found["doubled"] += again and not by_job
                trades[where][name] = trade(event)
                found["wrong"] += true_trades.get(where, {}).get(name) != trade(event)
            elif event["kind"] == "gap" and event["feed"] == "trades":
                gaps.setdefault(where, []).append((event["from_id"], event["to_id"]))
            elif event["kind"] == "gap" and event["feed"] == "depth":
                stale[where] = not event["healed"]
            elif event["kind"] in ("book_delta", "book_snapshot"):
                apply(books.setdefault(where, {"bids": {}, "asks": {}}), event)
    for where, all_of_it in true_trades.items():
        had = trades.get(where, {})
        begun = False
        newest = max(map(int, had), default=0)
        unsaid = {name for name in list(all_of_it)[-last_words:] if stopped and int(name) > newest}
        for name in all_of_it:
            begun = (begun or name in had) and name not in unsaid
            found["trades"] += name in had
            if name in had:
                continue
            told = any(low < int(name) and (int(name) < high or high == 0) for low, high in gaps.get(where, []))
            found["told" if told else "untold" if begun else "unseen"] += 1
    for where, book in books.items():
        found["books"] += 1
        if stale.get(where) or book != true_books.get(where):
            found["books_wrong"] += 1
            print("wrong book", where, "stale" if stale.get(where) else "differs")
    print(" ".join(f"{name} {count}" for name, count in found.items()))
    return 1 if found["untold"] + found["doubled"] + found["wrong"] + found["books_wrong"] else 0


sys.exit(main())
