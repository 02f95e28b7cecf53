"""Private PostgreSQL servers for tests: a temporary folder, a free port, stopped by pid.

    with PostgresqlServer() as server:
        server.sql("CREATE TABLE t (x int)", database="shop")

The programs come from Debian's postgresql-15 unless a folder with others is given. PostgreSQL refuses to run as root, so root
starts it as the user postgres.
"""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

DEFAULT_PROGRAMS = "/usr/lib/postgresql/15/bin"
PATIENCE = 60


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PostgresqlServer:
    """The superuser is `app` with the password in `password`; local sockets are trusted, TCP is not."""

    def __init__(self, programs=DEFAULT_PROGRAMS, settings=(), encoding="UTF8", client=DEFAULT_PROGRAMS):
        self.programs = programs
        self.client = client
        self.password = "s3cret pass:word\\x"
        self.folder = tempfile.mkdtemp(prefix="dbbackup-postgresql-")
        self.data = os.path.join(self.folder, "data")
        if os.geteuid() == 0 and not programs.startswith("/usr/"):
            # The user postgres may not look into root's cache.
            root = os.path.dirname(os.path.realpath(programs))
            for part in ("bin", "lib", "share"):
                shutil.copytree(os.path.join(root, part), os.path.join(self.folder, "native", part), symlinks=True)
            self.programs = os.path.join(self.folder, "native/bin")
        self.sockets = os.path.join(self.folder, "run")
        self.port = free_port()
        self.settings = list(settings)
        os.mkdir(self.sockets)
        password_file = os.path.join(self.folder, "password")
        with open(password_file, "w", encoding="utf-8") as file:
            file.write(self.password)
        os.chmod(password_file, 0o600)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for path in (self.folder, self.sockets, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        self._run([os.path.join(self.programs, "initdb"), "-D", self.data, "-U", "app", "--auth-local=trust", "--auth-host=scram-sha-256",
                   "--pwfile=" + password_file, "-E", encoding, "--locale=C" if encoding != "UTF8" else "--locale=C.UTF-8", "--no-sync"])
        # The tests read this file as whoever they are.
        if os.geteuid() == 0:
            os.chmod(self.folder, 0o755)
            os.chmod(self.sockets, 0o755)
        self.process = None
        self.start()

    def _prefix(self):
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []

    def _run(self, command):
        subprocess.run(self._prefix() + command, check=True, capture_output=True, cwd="/", env=dict(os.environ, LC_ALL="C.UTF-8"))

    def start(self):
        command = [os.path.join(self.programs, "postgres"), "-D", self.data, "-p", str(self.port), "-k", self.sockets,
                   "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        for setting in self.settings:
            command += ["-c", setting]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(self._prefix() + command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=dict(os.environ, LC_ALL="C.UTF-8"))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self.psql("SELECT 1", check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError("PostgreSQL does not start: " + self.log())

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def stop(self, signal_number=signal.SIGINT):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal_number)
            self.process.wait(PATIENCE)

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def environment(self):
        return dict(os.environ, PGHOST=self.sockets, PGPORT=str(self.port), PGUSER="app", LC_ALL="C.UTF-8")

    def program(self, name, *arguments, check=True, **more):
        return subprocess.run([os.path.join(self.client, name), *arguments], check=check, capture_output=True, text=True,
                              env=self.environment(), **more)

    def psql(self, sql, database="postgres", check=True):
        result = subprocess.run([os.path.join(self.client, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database],
                                input=sql, capture_output=True, text=True, env=self.environment(), errors="surrogateescape")
        if check and result.returncode != 0:
            raise AssertionError(f"psql: {result.stderr}\n{sql[:2000]}")
        return result

    def sql(self, sql, database="postgres"):
        return self.psql(sql, database).stdout.strip()

    def create(self, database, sql=""):
        self.sql(f'CREATE DATABASE "{database}"')
        if sql:
            self.sql(sql, database)

    def databases(self):
        return self.sql("SELECT datname FROM pg_database ORDER BY 1").split("\n")

    def url(self, database, user="app"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def dump(self, database):
        """The definitions as pg_dump writes them, without what differs from run to run."""
        text = self.program("pg_dump", "--schema-only", database).stdout
        return [line for line in text.split("\n") if not line.startswith(("\\restrict", "\\unrestrict", "-- Dumped"))]

    def hashes(self, database):
        """Rows and content of every table that is read by its own name."""
        tables = self.sql("SELECT string_agg(quote_ident(nspname) || '.' || quote_ident(relname), E'\\x01' ORDER BY 1) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                          "WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema' "
                          "AND (relkind = 'r' OR relispopulated)", database)
        found = {}
        for table in [name for name in tables.split("\x01") if name]:
            found[table] = self.sql(f"SET bytea_output = hex; SET extra_float_digits = 3; SELECT count(*), "
                                    f"md5(string_agg(x, E'\\n' ORDER BY x COLLATE \"C\")) FROM (SELECT t::text AS x FROM ONLY {table} t) q", database)
        return found
