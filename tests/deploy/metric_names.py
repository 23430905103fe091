#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether each metric that the files name is one that a running program has: metric_names.py SLUICE FILE..."""
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

CONFIG = """
services: {{a: {{kind: stream, venue: kraken, instruments: [BTC-USD], sinks: [f]}}}}
venues: {{kraken: {{stream: 'ws://127.0.0.1:1', rest: 'http://127.0.0.1:1'}}}}
sinks: {{f: {{kind: file, path: {folder}/events}}}}
admin: {{listen: '127.0.0.1:{port}'}}
"""


def scrape(port, process):
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                text = answer.read().decode()
            if "sluice_feed_" in text:
                return text
        except OSError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit("no metrics came")


def known_names(program):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = f"{folder}/a.yaml"
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(folder=folder, port=port))
        with subprocess.Popen([program, "run", "--quiet", config], stderr=subprocess.DEVNULL) as process:
            text = scrape(port, process)
            process.terminate()
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def used_names(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".json"):
        text = "\n".join(t["expr"] for panel in json.loads(text)["panels"] for t in panel["targets"])
    return set(re.findall(r"\b(?:sluice|process)_[a-z_]+\b", text))


known = known_names(sys.argv[1])
missing = 0
for path in sys.argv[2:]:
    used = used_names(path)
    for name in sorted(used - known):
        missing += 1
        print(f"{path}: there is no metric {name}")
    print(f"{len(used)} metrics in use")
sys.exit(1 if missing else 0)
