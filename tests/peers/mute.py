# SPDX-License-Identifier: MIT
"""Takes connections, writes the address and what comes first of each into a file, and never answers.

    mute.py PORT LOG
"""
import socket
import sys

server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = []
while True:
    client, address = server.accept()
    kept.append(client)
    try:
        first = client.recv(4096)
    except ConnectionError:
        continue
    with open(sys.argv[2], "ab") as log:
        log.write(b"from %s\n" % address[0].encode() + first)
