#!/usr/bin/python3
"""dbbackupd as a service: options, exit codes, signals, readiness, single instance, hostile clients, access classes, secrets."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import CTL, DAEMON, PATIENCE, Daemon, main, make_shop  # noqa: E402


def connect(daemon):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(PATIENCE)
    client.connect(daemon.socket)
    return client


def read_line(client):
    data = b""
    while not data.endswith(b"\n"):
        piece = client.recv(65536)
        if not piece:
            break
        data += piece
    return data


class Service(unittest.TestCase):
    def daemon(self, **arguments):
        d = Daemon(**arguments)
        self.addCleanup(d.close)
        return d

    def test_usage_version_and_check_config(self):
        run = lambda *a: subprocess.run([DAEMON, *a], capture_output=True, text=True)
        self.assertEqual(run("--nonsense").returncode, 64)
        self.assertEqual(run("--version").returncode, 0)
        self.assertIn("Examples", run("--help").stdout)
        d = self.daemon()
        bad = d.path("bad.yaml")
        with open(bad, "w", encoding="utf-8") as file:
            file.write("version: 1\nruns_at_onc: 3\n")
        os.chmod(bad, 0o600)
        result = run("--check-config", "--config", bad)
        self.assertEqual(result.returncode, 78)
        self.assertIn(f"{bad}:2:1: ", result.stderr)
        self.assertIn("runs_at_once", result.stderr)
        self.assertEqual(run("--check-config", "--config", d.path("absent.yaml")).returncode, 66)

    def test_single_instance_per_state_folder(self):
        d = self.daemon()
        second = subprocess.run([DAEMON, "--state-dir", d.state, "--socket", d.path("other.sock")], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(second.returncode, 75, second.stderr)
        self.assertIn("another dbbackupd", second.stderr)
        d.ok("status")

    def test_socket_in_use_is_refused_and_a_stale_one_replaced(self):
        d = self.daemon()
        second = subprocess.run([DAEMON, "--state-dir", d.path("state2"), "--socket", d.socket], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(second.returncode, 75, second.stderr)
        d.kill()
        d.start()
        d.ok("status")

    def test_unreachable_daemon_is_exit_4(self):
        d = self.daemon()
        d.stop()
        result = d.ctl("status")
        self.assertEqual(result.code, 4)
        self.assertIn("hint:", result.err)

    def test_newer_control_database_is_refused_with_78(self):
        d = self.daemon()
        d.stop()
        subprocess.run(["sqlite3", os.path.join(d.state, "control.db"), "PRAGMA user_version = 999"], check=True)
        d.start(expect_ready=False)
        self.assertEqual(d.wait(), 78, d.log())

    def test_missing_daemon_key_is_refused_with_78(self):
        d = self.daemon()
        d.stop()
        os.unlink(os.path.join(d.state, "daemon.key"))
        d.start(expect_ready=False)
        self.assertEqual(d.wait(), 78, d.log())
        self.assertFalse(os.path.exists(os.path.join(d.state, "daemon.key")))

    def test_sigterm_waits_for_the_run_and_a_second_cancels_it(self):
        d = self.daemon()
        big = d.path("big.db")
        make_shop(big, customers=1000, orders=400000)
        d.ok("database", "add", "big", f"sqlite://{big}")
        run = d.json("backup", "big")["run"]["id"]
        self.assertEqual(d.stop(signal.SIGTERM), 0)
        d.start()
        state = d.json("run", "show", run)["run"]["state"]
        # Still queued when the signal came: the next process has resumed it.
        if state not in ("succeeded",):
            d.ok("run", "wait", run)
        self.assertEqual(d.json("run", "show", run)["run"]["state"], "succeeded")

    def test_sighup_reloads_and_keeps_the_old_configuration_when_invalid(self):
        d = self.daemon(config="version: 1\ntimezone: Europe/Berlin\n")
        with open(d.config, "w", encoding="utf-8") as file:
            file.write("version: 1\ntimezone: Asia/Tokyo\n")
        d.ok("daemon", "reload")
        self.assertEqual(d.json("schedule", "explain", "--cron", "0 0 * * *")["timezone"], "Asia/Tokyo")
        with open(d.config, "w", encoding="utf-8") as file:
            file.write("version: 1\ntimezon: Asia/Tokyo\n")
        result = d.ctl("daemon", "reload")
        self.assertEqual(result.code, 78, result)
        d.process.send_signal(signal.SIGHUP)
        d.ok("status")
        self.assertEqual(d.json("schedule", "explain", "--cron", "0 0 * * *")["timezone"], "Asia/Tokyo")

    def test_readiness_watchdog_and_stopping_are_notified(self):
        d = Daemon(start=False)
        self.addCleanup(d.close)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(d.path("notify"))
        self.addCleanup(notify.close)
        notify.settimeout(PATIENCE)
        env = dict(os.environ, NOTIFY_SOCKET=d.path("notify"), WATCHDOG_USEC="400000")
        process = subprocess.Popen([DAEMON, "--state-dir", d.state, "--socket", d.socket], env=env, stderr=subprocess.DEVNULL)
        seen = ""
        try:
            while "READY=1" not in seen or "WATCHDOG=1" not in seen:
                seen += notify.recv(4096).decode() + "\n"
            self.assertIn("STATUS=", seen)
            process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in seen:
                seen += notify.recv(4096).decode() + "\n"
        finally:
            process.terminate()
            process.wait(PATIENCE)

    def test_socket_activation(self):
        d = Daemon(start=False)
        self.addCleanup(d.close)
        process = subprocess.Popen(["systemd-socket-activate", "--fdname=control", "-l", d.socket, DAEMON, "--state-dir", d.state],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE
            while not os.path.exists(d.socket) and time.monotonic() < deadline:
                pass
            self.assertEqual(d.ctl("daemon", "version").code, 0)
        finally:
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 0)
        self.assertTrue(os.path.exists(d.socket), "the manager's socket was removed")

    def test_hostile_lines(self):
        d = self.daemon()
        for line, code in ((b"not json\n", -32700), (b"[1,2]\n", -32600), (b'{"jsonrpc":"2.0","id":1,"method":"nope.nope"}\n', -32601),
                           (b'{"jsonrpc":"2.0","id":1,"method":"job.show","params":{}}\n', -32602), (b"[" * 100000 + b"\n", -32700), (b"\x00\xff\xfe\n", -32700)):
            with self.subTest(line=line[:40]):
                with connect(d) as client:
                    client.sendall(line)
                    reply = json.loads(read_line(client))
                    self.assertEqual(reply["error"]["code"], code, reply)
        with connect(d) as client:
            try:
                for _ in range(64):
                    client.sendall(b"a" * 65536)
                self.assertIn(b"error", read_line(client))
            except (BrokenPipeError, ConnectionResetError):
                pass
        d.ok("status")

    def test_a_client_that_disappears_while_following(self):
        d = self.daemon()
        for _ in range(50):
            with connect(d) as client:
                client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"events.list","params":{"follow":true}}\n')
                read_line(client)
        d.ok("status")

    def test_foreign_uid_is_refused_and_a_viewer_may_only_look(self):
        if os.geteuid() != 0:
            self.fail("needs root to become another user")
        d = self.daemon(config="version: 1\naccess:\n  viewer: [\"user:daemon\"]\n")
        os.chmod(d.folder, 0o755)
        os.chmod(d.socket, 0o666)
        become = lambda user, *a: subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", CTL, "--socket", d.socket, *a],
                                                 capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", CTL, "--socket", d.socket, "status"], capture_output=True, text=True).returncode, 77)
        self.assertEqual(become("daemon", "status").returncode, 0)
        denied = become("daemon", "job", "remove", "x")
        self.assertEqual(denied.returncode, 77, denied.stderr)

    def test_secrets_stay_out_of_argv_logs_events_and_json(self):
        d = self.daemon()
        refused = d.ctl("database", "add", "p", "postgresql://u:hunter2planted@db/x")
        self.assertEqual(refused.code, 64, refused)
        self.assertNotIn("hunter2planted", d.log())
        vault = d.path("vault")
        d.ok("repository", "add", "vault", f"file://{vault}", "--passphrase-stdin", stdin="planted-passphrase\n")
        key = d.json("repository", "key", "export", "vault")["recovery_key"]
        shown = d.ok("-o", "json", "events").out + d.ok("-o", "json", "repository", "show", "vault").out + d.log()
        self.assertNotIn("planted-passphrase", shown)
        self.assertNotIn(key, shown)
        with open(os.path.join(d.state, "control.db"), "rb") as file:
            raw = file.read()
        self.assertNotIn(b"planted-passphrase", raw)

    def test_status_names_and_help(self):
        d = self.daemon()
        self.assertEqual(d.ctl("jb", "list").code, 64)
        self.assertIn("job", d.ctl("jb", "list").err)
        self.assertIn("Examples", d.ctl("job", "add", "--help").out)
        self.assertEqual(d.ctl("job", "add", "x", "--database", "nope").code, 2)


class Rescue(unittest.TestCase):
    def test_restore_on_a_bare_host_with_the_recovery_key_only(self):
        d = Daemon()
        self.addCleanup(d.close)
        shop = d.path("shop.db")
        make_shop(shop)
        d.ok("database", "add", "shop", f"sqlite://{shop}")
        artifact = d.backup("shop")
        d.ok("repository", "key", "export", "default", "--file", d.path("key.txt"))
        d.stop()
        common = ["--repository", f"file://{d.state}/repository", "--recovery-key-file", d.path("key.txt")]
        listed = subprocess.run([DAEMON, "rescue", "list", *common], capture_output=True, text=True)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertIn(artifact, listed.stdout)
        target = d.path("rescued.db")
        restored = subprocess.run([DAEMON, "rescue", "restore", "latest", *common, "--to", f"sqlite://{target}"], capture_output=True, text=True)
        self.assertEqual(restored.returncode, 0, restored.stderr)
        from fixture import content
        self.assertEqual(content(shop), content(target))
        with open(d.path("wrong.txt"), "w", encoding="utf-8") as file:
            file.write("dbk1-nonsense")
        wrong = subprocess.run([DAEMON, "rescue", "list", "--repository", common[1], "--recovery-key-file", d.path("wrong.txt")], capture_output=True, text=True)
        self.assertEqual(wrong.returncode, 64, wrong.stderr)


if __name__ == "__main__":
    main()
