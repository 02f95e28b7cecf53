"""An HTTP proxy in front of an object store that misbehaves on request, and counts.

    with FaultProxy(server.port) as proxy:
        proxy.inject("PUT", "packs/", Fault.RESET_AFTER)
        ...
        proxy.check_fired()     # a fault that never fires proves nothing

The Host header goes through unchanged, so that signatures hold. Kinds of faults:
  reset before the request is read, in the middle of its body, after the server has done it; truncated answers; a status, with
  Retry-After if wanted; a stall; the request done twice; a listing as it was some time ago.
"""
import http.client
import http.server
import re
import socket
import struct
import threading
import time


class Fault:
    RESET_BEFORE = "reset before"      # nothing reaches the server
    RESET_DURING = "reset during"      # half of the request's body was read
    RESET_AFTER = "reset after"        # the server has done it, nobody hears of it
    TRUNCATE = "truncate"              # half of the answer's body arrives
    TWICE = "twice"                    # the server is asked twice, the second answer counts
    OLD_LISTING = "old listing"        # the answer that this request had the first time

    @staticmethod
    def status(code, retry_after=None, name=None, date=None):
        """`name`: the error's code in the body."""
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        if date:
            headers["Date"] = date
        return ("status", code, name or ("AccessDenied" if code == 403 else "SlowDown"), headers)

    @staticmethod
    def stall(seconds):
        return ("stall", seconds)


class Rule:
    def __init__(self, method, path, fault, first, count):
        self.method, self.path, self.fault, self.first, self.count = method, re.compile(path), fault, first, count
        self.seen = self.fired = 0

    def hits(self, method, path):
        if method != self.method or not self.path.search(path):
            return False
        self.seen += 1
        if self.first <= self.seen < self.first + self.count:
            self.fired += 1
            return True
        return False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120

    def log_message(self, *_):
        pass

    def reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.rfile = self.wfile = _Nothing()

    def forward(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.target, timeout=120)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def send(self, status, headers, body, length=None):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if self.command == "HEAD":
            length = dict((name.lower(), value) for name, value in headers).get("content-length", "0")
        if status != 204:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        self.proxy.note(answered=len(body))

    @property
    def proxy(self):
        return self.server.proxy

    def serve(self):
        fault = self.proxy.fault_of(self.command, self.path)
        if self.proxy.latency:
            time.sleep(self.proxy.latency)
        if fault == Fault.RESET_BEFORE:
            return self.reset()
        size = int(self.headers.get("content-length") or 0)
        if fault == Fault.RESET_DURING:
            self.rfile.read(size // 2)
            return self.reset()
        body = self.rfile.read(size)
        self.proxy.note(method=self.command, path=self.path, sent=size)
        if isinstance(fault, tuple) and fault[0] == "status":
            body = f"<Error><Code>{fault[2]}</Code><Message>injected</Message></Error>".encode()
            return self.send(fault[1], fault[3].items(), body)
        if isinstance(fault, tuple):
            self.proxy.gate.wait(fault[1])
        if fault == Fault.TWICE:
            self.forward(body)
        status, headers, answer = self.forward(body)
        if fault == Fault.RESET_AFTER:
            return self.reset()
        if fault == Fault.OLD_LISTING:
            status, headers, answer = self.proxy.old_listing(self.path)
        elif self.command == "GET" and status == 200 and "prefix=" in self.path:
            self.proxy.remember_listing(self.path, (status, headers, answer))
        if fault == Fault.TRUNCATE:
            self.send(status, headers, answer[:len(answer) // 2], len(answer))
            return self.reset()
        return self.send(status, headers, answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve


class _Nothing:
    closed = True

    def __getattr__(self, _):
        return lambda *a, **k: b""


class FaultProxy:
    def __init__(self, target, latency=0.0):
        self.target = target
        self.latency = latency
        self.lock = threading.Lock()
        self.gate = threading.Event()
        self.rules = []
        self.requests = []  # method, path
        self.sent_bytes = self.answered_bytes = 0
        self.listings = {}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.proxy = self
        self.port = self.server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

    def inject(self, method, path, fault, first=1, count=1):
        with self.lock:
            self.rules.append(Rule(method, path, fault, first, count))

    def clear(self):
        with self.lock:
            self.rules = []

    def check_fired(self):
        with self.lock:
            silent = [(rule.method, rule.path.pattern, rule.fault) for rule in self.rules if rule.fired == 0]
        assert not silent, f"faults that never fired: {silent}"

    def fault_of(self, method, path):
        with self.lock:
            hit = [rule.fault for rule in self.rules if rule.hits(method, path)]
        return hit[0] if hit else None

    def note(self, method=None, path=None, sent=0, answered=0):
        with self.lock:
            if method:
                self.requests.append((method, path))
            self.sent_bytes += sent
            self.answered_bytes += answered

    def reset_counts(self):
        with self.lock:
            self.requests = []
            self.sent_bytes = self.answered_bytes = 0

    def remember_listing(self, path, answer):
        with self.lock:
            self.listings.setdefault(path, answer)

    def forget_listings(self):
        with self.lock:
            self.listings = {}

    def old_listing(self, path):
        with self.lock:
            return self.listings[path]
