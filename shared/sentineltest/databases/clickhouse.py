"""Answers over HTTP as ClickHouse does, with ClickHouse's own engine in this process (chdb).

What the engine decides is real: SQL, types, settings, readonly, limits, errors. What the
server around it does is played here as documented: users, the greeting of the Go driver.
Usage: clickhouse.py port folder password
"""

import base64
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import chdb

PORT, FOLDER, PASSWORD = int(sys.argv[1]), sys.argv[2], sys.argv[3]
OWN = {"database", "default_format", "client_protocol_version", "query_id", "session_id", "cancel_http_readonly_queries_on_client_close"}
PROFILES = {"sentinel": "0", "sentinel_readonly": "1", "sentinel_limits": "2"}  # users, and readonly of their profile
engine = chdb.connect(FOLDER)  # stays open, so that the engine does
opening = threading.Lock()


def text(value):
    return bytes([len(value)]) + value.encode()


def greeting():
    """displayName(), version(), revision(), timezone(), in a block of today's revision.

    The revision that is told is 0, in which the engine writes its blocks by itself."""
    block = b"\x01\x00\x02\xff\xff\xff\xff\x00" + b"\x04\x01"
    for name, kind, data in (("d", "String", text("chdb")), ("v", "String", text(chdb.__version__)), ("r", "UInt32", bytes(4)), ("t", "String", text("UTC"))):
        block += text(name) + text(kind) + b"\x00" + data
    return block


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        user, _, password = base64.b64decode((self.headers.get("Authorization") or "Basic Og==")[6:]).decode().partition(":")
        if user not in PROFILES or password != PASSWORD:
            return self.answer(403, f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)".encode(), 516)
        if body.startswith("SELECT displayName()"):
            return self.answer(200, greeting())
        try:
            self.answer(200, self.run(body, given, PROFILES[user]))
        except Exception as failure:  # the engine's own words
            words = re.sub(r"^Code: \d+\. DB::Exception: (?=Code: )", "", str(failure).strip())
            code = re.match(r"Code: (\d+)", words)
            self.answer(500, words.encode(), int(code.group(1)) if code else 1000)

    def run(self, query, given, readonly):
        with opening:
            connection = chdb.connect(FOLDER)
        try:
            if given.get("database"):
                connection.query(f"USE `{given['database']}`")
            connection.query("SET readonly = " + readonly)
            settings = ", ".join(f"{k} = '{v}'" for k, v in given.items() if k not in OWN)
            if settings:
                connection.query("SET " + settings)
            return connection.query(query, given.get("default_format", "TabSeparated")).bytes()
        finally:
            with opening:
                connection.close()

    def answer(self, status, body, code=0):
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
server.daemon_threads = True
print("ready", flush=True)
server.serve_forever()
