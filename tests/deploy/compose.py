#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether what a compose file points at is there: files, build targets, services, volumes, secrets."""
import os
import re
import sys

import yaml

path = sys.argv[1]
folder = os.path.dirname(path)
with open(path, encoding="utf-8") as stream:
    compose = yaml.safe_load(stream)
problems = []


def need(condition, text):
    if not condition:
        problems.append(text)


for name, service in compose["services"].items():
    need("image" in service or "build" in service, f"{name}: neither image nor build")
    image = service.get("image", "")
    need("." not in image.split("/")[0] if "/" in image else True, f"{name}: {image} names a host")
    need(":" in image and not image.endswith(":latest"), f"{name}: {image} has no version")
    if "build" in service:
        context = os.path.join(folder, service["build"]["context"])
        with open(os.path.join(context, "Dockerfile"), encoding="utf-8") as file:
            stages = re.findall(r"^FROM .* AS (\S+)$", file.read(), re.M)
        need(service["build"]["target"] in stages, f"{name}: the Dockerfile has no target {service['build']['target']}")
        need(service["read_only"] and service["cap_drop"] == ["ALL"], f"{name}: more rights than needed")
    for other in service.get("depends_on", {}):
        need(other in compose["services"], f"{name}: no service {other}")
    for other, how in (service.get("depends_on") or {}).items() if isinstance(service.get("depends_on"), dict) else ():
        need("healthcheck" in compose["services"][other] or how["condition"] != "service_healthy",
             f"{name}: {other} has no health check")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        found = os.path.exists(os.path.join(folder, source)) if source[0] == "." else source in compose["volumes"]
        need(found, f"{name}: no {source}")
    for secret in service.get("secrets", []):
        need(secret in compose["secrets"], f"{name}: no secret {secret}")
    for port in service.get("ports", []):
        need(port.startswith("127.0.0.1:"), f"{name}: {port} is open to everybody")

with open(os.path.join(folder, "compose/env.example"), encoding="utf-8") as stream:
    known = set(re.findall(r"^(\w+)=$", stream.read(), re.M))
with open(path, encoding="utf-8") as stream:
    used = set(re.findall(r"\$\{(\w+)", stream.read()))
need(used == known, f"env.example has {sorted(known)}, compose wants {sorted(used)}")
for problem in problems:
    print(problem)
print(f"{len(compose['services'])} services, {len(problems)} problems")
sys.exit(1 if problems else 0)
