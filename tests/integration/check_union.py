#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether what several replicas have written is, together, what truly happened.

check_union.py TRUTH MODE FILE...

MODE: strict (nothing may be missing, no gap told), gaps (what is missing is told) or exact (and what restarts tell is missing)

Events with the same identity are one. Trades are compared one by one, with price, quantity and side; of books the changes.
Only what lies between the first and the last that was heard of an instrument counts.
"""
import bisect
import json
import sys


def events(path):
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.endswith("\n"):
                continue  # cut by kill -9
            try:
                event = json.loads(line)
            except ValueError:
                print(f"no JSON in {path}: {line[:80]}")
                sys.exit(1)
            yield event


def key_of(event):
    return event["venue"], event["symbol"]


def trade_of(event):
    return event["price"], event["quantity"], event.get("taker")


truth_path, mode, *paths = sys.argv[1:]
truth, changes = {}, {}
for event in events(truth_path):
    if event["kind"] == "trade":
        truth.setdefault(key_of(event), {})[int(event["id"])] = trade_of(event)
    elif event["kind"] == "book_delta":
        changes.setdefault(key_of(event), []).append(int(event["last_id"]))

trades, deltas, books, gaps, doubles, told = {}, {}, {}, {}, 0, {}
for path in paths:
    for event in events(path):
        key = key_of(event)
        if event["kind"] == "trade":
            mine = trades.setdefault(key, {})
            doubles += int(event["id"]) in mine
            mine[int(event["id"])] = trade_of(event)
        elif event["kind"] == "book_delta":
            deltas.setdefault(key, set()).add(int(event["last_id"]))
        elif event["kind"] == "book_snapshot":
            books.setdefault(key, []).append(int(event["last_id"]))
        elif event["kind"] == "gap":
            to = int(event.get("to_id", 0))
            if event["feed"] == "depth":  # up to the snapshot with which it is whole again
                to = max(to, int(event.get("healed_id", 0)))
            gap = (event["feed"], int(event.get("from_id", 0)), to, event["reason"])
            if event["feed"] == "depth" or not event.get("healed"):
                gaps.setdefault(key, set()).add(gap)
                told[f"{event['feed']} {event['reason']}"] = told.get(f"{event['feed']} {event['reason']}", 0) + 1

problems = []


def is_told(key, feed, ident, present):
    """Of a book `to_id` is the snapshot's, which has that change in it."""
    for gap_feed, first, last, _ in gaps.get(key, ()):
        if first == 0 and last > 0:  # nobody knows since when: since the last that is there
            at = bisect.bisect_left(present, last)
            first = present[at - 1] if at > 0 else 0
        if gap_feed != feed or ident <= first:
            continue
        if last == 0:  # until something came again
            again = sorted(present + books.get(key, [])) if feed == "depth" else present
            at = bisect.bisect_right(again, first)
            last = again[at] if at < len(again) else ident + 1
        if ident < last + (feed == "depth"):
            return True
    return False


missing_told = 0
for key, mine in sorted(trades.items()):
    real = truth.get(key, {})
    present = sorted(mine)
    for ident, trade in mine.items():
        if real.get(ident) != trade:
            problems.append(f"{key}: trade {ident} {trade} never happened: {real.get(ident)}")
    lost = [ident for ident in real if present[0] < ident < present[-1] and ident not in mine]
    for ident in lost:
        if mode != "strict" and is_told(key, "trades", ident, present):
            missing_told += 1
        else:
            problems.append(f"{key}: trade {ident} is missing")
for key, mine in sorted(deltas.items()):
    if key not in books:
        problems.append(f"{key}: changes without a snapshot")
        continue
    begin, end = min(books[key]), max(mine)
    present = sorted(mine)
    for ident in changes.get(key, ()):
        if begin < ident <= end and ident not in mine:
            if mode != "strict" and is_told(key, "depth", ident, present):
                missing_told += 1
            else:
                problems.append(f"{key}: change {ident} of the book is missing")
if mode == "strict":  # what came when the exchange ended is behind the last event
    for key, all_of in gaps.items():
        ends = {"trades": max(trades.get(key, {0: 0})), "depth": max(deltas.get(key, {0}))}
        problems.extend(f"{key}: gap {gap}" for gap in all_of if gap[2] != 0 or gap[1] < ends[gap[0]])
restarts = [(key, gap) for key, all_of in gaps.items() for gap in all_of if gap[0] == "trades" and gap[3] == "restarted"]
if mode == "exact":
    if not restarts:
        problems.append("no restart is told")
    for key, gap in restarts:
        there = [ident for ident in trades.get(key, {}) if gap[1] < ident < gap[2]]
        problems.extend(f"{key}: trade {ident} is told as missing and is there: {gap}" for ident in there)
count = sum(len(mine) for mine in trades.values())
if count == 0:
    problems.append("no trade at all")
print(f"left in order {sum(1 for key in gaps for gap in gaps[key] if gap[0] == 'trades' and gap[3] == 'disconnected' and gap[1] < max(trades.get(key, {0: 0})))}, instruments {len(trades)}, trades {count}, written twice {doubles}, changes of books "
      f"{sum(len(mine) for mine in deltas.values())}, missing and told {missing_told}, gaps {told}")
for problem in problems[:40]:
    print(problem)
print(f"{len(problems)} problems")
sys.exit(1 if problems else 0)
