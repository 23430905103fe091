# SPDX-License-Identifier: MIT
"""redis-py's lock: lock.py PORT THREADS SECONDS prints how often a second it is taken and given back."""
import sys
import threading
import time

import redis

client = redis.Redis(port=int(sys.argv[1]))
threads = int(sys.argv[2])
end = time.monotonic() + float(sys.argv[3])
done = [0] * threads


def work(number):
    while time.monotonic() < end:
        with client.lock(f"bench:lock:py:{number}", timeout=10):
            done[number] += 1


client.ping()
begin = time.monotonic()
workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(f"lock-{threads}\t{sum(done) / (time.monotonic() - begin):.0f}")
