# SPDX-License-Identifier: MIT
"""Hands GET requests on to another server, and writes what it saw of each: the client's address, the path, the headers.

    rest_witness.py PORT UPSTREAM LOG
"""
import http.server
import json
import sys
import urllib.error
import urllib.request

PORT, UPSTREAM, LOG = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps({"from": self.client_address[0], "path": self.path, **self.headers}) + "\n")
        try:
            with urllib.request.urlopen(UPSTREAM + self.path, timeout=10) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
