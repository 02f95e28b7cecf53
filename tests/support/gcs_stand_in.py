#!/usr/bin/python3
"""What fake-gcs-server does not check, for the tests of the Google Cloud store.

TokenServer is a token endpoint: it verifies the RS256 signature, audience, scope and times of the JWT (with the openssl program,
not with the code under test) and gives out tokens; it is a metadata server, too.
ObjectServer keeps objects in memory as the JSON API does and misbehaves on request: tokens that ended (401), resumable uploads
that break in the middle (503, then 308 with what is there), preconditions on generations (412), MD5 sums that do not match (400).
Source: cloud.google.com/storage/docs/json_api, .../docs/performing-resumable-uploads; RFC 7515, 7523.
"""
import base64
import hashlib
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.parse


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Web:
    """An HTTP server on a thread of its own."""

    def __init__(self, handler):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.owner = self
        self.port = self.server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    @property
    def owner(self):
        return self.server.owner

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def answer(self, status, body=b"", headers=None):
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class TokenServer(Web):
    """Use as a context; `options` are the store's."""
    scope = "https://www.googleapis.com/auth/devstorage.read_write"
    email = "backup@project.iam.gserviceaccount.com"

    class Handler(Handler):
        def do_POST(self):
            form = dict(urllib.parse.parse_qsl(self.body().decode()))
            problem = self.owner.problem_of(form)
            if problem:
                self.answer(400, {"error": "invalid_grant", "error_description": problem})
            else:
                self.answer(200, self.owner.new_token())

        def do_GET(self):
            if self.headers.get("metadata-flavor") != "Google":
                self.answer(403)
            else:
                self.owner.metadata_asked += 1
                self.answer(200, self.owner.new_token())

    def __init__(self):
        super().__init__(self.Handler)
        self.folder = tempfile.TemporaryDirectory(prefix="dbbackup-gcs-")
        self.tokens = []
        self.metadata_asked = 0
        self.life = 3600
        key = os.path.join(self.folder.name, "key.pem")
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, stderr=subprocess.DEVNULL)
        self.public = os.path.join(self.folder.name, "public.pem")
        subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", self.public], check=True, stderr=subprocess.DEVNULL)
        self.key_file = os.path.join(self.folder.name, "account.json")
        with open(key, encoding="ascii") as pem, open(self.key_file, "w", encoding="utf-8") as file:
            json.dump({"type": "service_account", "client_email": self.email, "private_key_id": "k1", "private_key": pem.read(),
                       "token_uri": self.address + "/token"}, file)
        os.chmod(self.key_file, 0o600)

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        self.folder.cleanup()

    @property
    def options(self):
        return {"service_account_file": self.key_file}

    @property
    def metadata_options(self):
        return {"token_url": self.address + "/computeMetadata/v1/instance/service-accounts/default/token"}

    def new_token(self):
        self.tokens.append(f"token-{len(self.tokens) + 1}")
        return {"access_token": self.tokens[-1], "expires_in": self.life, "token_type": "Bearer"}

    def problem_of(self, form):
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return "wrong grant type"
        header, claims, signature = form.get("assertion", "..").split(".")
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "signature")
            with open(path, "wb") as file:
                file.write(unpadded(signature))
            verified = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.public, "-signature", path],
                                      input=f"{header}.{claims}".encode(), capture_output=True, check=False)
        if verified.returncode != 0:
            return "invalid JWT signature"
        if json.loads(unpadded(header)) != {"alg": "RS256", "typ": "JWT", "kid": "k1"}:
            return "wrong header"
        claims = json.loads(unpadded(claims))
        if claims["iss"] != self.email or claims["aud"] != self.address + "/token" or claims["scope"] != self.scope:
            return f"wrong claims {claims}"
        if not time.time() - 300 < claims["iat"] < time.time() + 300 or not 0 < claims["exp"] - claims["iat"] <= 3600:
            return "wrong times"
        return None


class ObjectServer(Web):
    """`tokens`: the TokenServer whose newest token is good. Counters tell what has fired."""

    class Handler(Handler):
        def do_GET(self):
            self.handle_request()

        do_POST = do_PUT = do_DELETE = do_GET

        def handle_request(self):
            body = self.body()
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            owner = self.owner
            with owner.lock:
                owner.requests += 1
                if owner.requests == owner.revoke_at:
                    owner.tokens.tokens.append("known to nobody")
                if self.headers.get("authorization") != "Bearer " + (owner.tokens.tokens or ["none"])[-1]:
                    owner.refused_tokens += 1
                    return self.answer(401, {"error": {"message": "Invalid Credentials"}})
                if url.path.startswith("/upload/"):
                    return self.upload(url, query, body)
                if url.path.endswith("/o"):
                    return self.listing(query)
                return self.object(urllib.parse.unquote(url.path.split("/o/", 1)[1]), query)

        def listing(self, query):
            names = sorted(name for name in self.owner.objects if name.startswith(query.get("prefix", "")))
            names = [name for name in names if name > query.get("pageToken", "")]
            page = {"items": [self.owner.metadata(name) for name in names[:10]]}
            if len(names) > 10:
                page["nextPageToken"] = names[9]
            self.answer(200, page)

        def object(self, name, query):
            content = self.owner.objects.get(name)
            if content is None:
                return self.answer(404, {"error": {"message": f"No such object: {name}"}})
            if self.command == "DELETE":
                del self.owner.objects[name]
                return self.answer(204)
            if query.get("alt") != "media":
                return self.answer(200, self.owner.metadata(name))
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
            if not wanted:
                return self.answer(200, content, {"x-goog-hash": "md5=" + self.owner.md5(content)})
            first, last = map(int, wanted.groups())
            if first >= len(content):
                return self.answer(416)
            return self.answer(206, content[first:last + 1])

        def upload(self, url, query, body):
            owner = self.owner
            if self.command == "PUT":
                return self.resume(query["session"], body)
            if query.get("ifGenerationMatch") == "0" and query["name"] in owner.objects:
                owner.preconditions += 1
                return self.answer(412, {"error": {"message": "conditionNotMet"}})
            if query["uploadType"] == "resumable":
                session = str(len(owner.sessions))
                owner.sessions[session] = {"metadata": json.loads(body), "content": b"",
                                           "size": int(self.headers["x-upload-content-length"])}
                return self.answer(200, b"", {"Location": f"{owner.address}{url.path}?session={session}"})
            boundary = self.headers["content-type"].split("boundary=")[1].encode()
            _, metadata, content, _ = body.split(b"--" + boundary)
            metadata = json.loads(metadata.split(b"\r\n\r\n", 1)[1])
            return self.store(metadata, content.split(b"\r\n\r\n", 1)[1][:-2])

        def resume(self, name, body):
            owner = self.owner
            session = owner.sessions[name]
            wanted = self.headers["content-range"]
            if wanted.startswith("bytes */"):
                owner.asked_how_far += 1
                return self.incomplete(session)
            first = int(re.match(r"bytes (\d+)-", wanted).group(1))
            assert first == len(session["content"]), (wanted, len(session["content"]))
            if owner.breaks > 0:  # keeps a part (a multiple of 256 KiB, as the real one), then fails
                owner.breaks -= 1
                kept = len(body) // 2 // 262144 * 262144
                session["content"] += body[:kept]
                return self.answer(503)
            if owner.partial > 0:  # takes a part, and says so
                owner.partial -= 1
                session["content"] += body[:262144]
                return self.incomplete(session)
            session["content"] += body
            if len(session["content"]) < session["size"]:
                return self.incomplete(session)
            return self.store(session["metadata"], session["content"])

        def incomplete(self, session):
            have = len(session["content"])
            self.answer(308, b"", {"Range": f"bytes=0-{have - 1}"} if have else {})

        def store(self, metadata, content):
            if metadata["md5Hash"] != self.owner.md5(content):
                self.owner.md5_refused += 1
                return self.answer(400, {"error": {"message": "Provided MD5 hash does not match calculated MD5 hash"}})
            self.owner.objects[metadata["name"]] = content
            return self.answer(200, self.owner.metadata(metadata["name"]))

    def __init__(self, tokens):
        super().__init__(self.Handler)
        self.tokens = tokens
        self.lock = threading.RLock()
        self.objects = {}
        self.sessions = {}
        self.breaks = self.partial = self.requests = self.revoke_at = 0
        self.refused_tokens = self.preconditions = self.asked_how_far = self.md5_refused = 0

    @staticmethod
    def md5(content):
        return base64.b64encode(hashlib.md5(content).digest()).decode()

    def metadata(self, name):
        return {"name": name, "size": str(len(self.objects[name])), "updated": "2026-01-01T00:00:00.000Z"}
