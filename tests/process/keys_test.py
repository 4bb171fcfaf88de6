"""Keys: beyond loopback only allowed devices take part; others are refused, counted and named."""

import os
import re
import socket
import time
import unittest

import cluster
import ftrun
import process

LENET = ftrun.MODELS / "lenet_train_op14.onnx"
WORDS = [LENET, "--data", "synthetic:1x28x28:10:64", "--batch-size", 8, "--batches", 6,
         "--schedule", "sync", "--partition", "even"]


def own_address():
    """An address of this machine that is not loopback, or 127.0.0.1: given keys are used there,
    too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]


class Case(ftrun.Case):
    def setUp(self):
        super().setUp()
        self.host = own_address()
        self.started = []
        self.addCleanup(lambda: [each.close() for each in self.started])

    def keygen(self, name, *words):
        """Standard output of keygen for the device of that name."""
        outcome = self.run_ftrun("keygen", "--keys", self.directory / name, "--name", name, *words)
        self.assertEqual(outcome.code, 0, outcome.err)
        return outcome.out

    def key(self, name):
        return re.search(r"^public key +([0-9a-f]{64})$", self.keygen(name), re.M)[1]

    def fingerprint(self, name):
        return re.search(r"^fingerprint +([0-9a-f-]{24})$", self.keygen(name), re.M)[1]

    def allow(self, *names):
        for name in names:
            self.keygen("central", "--allow", f"{name}={self.key(name)}")

    def begin(self, *words):
        started = process.Process(words, self.directory)
        self.started.append(started)
        return started

    def start_central(self, workers):
        self.key("central")
        self.endpoint = f"tcp://{self.host}:{cluster.free_port()}"
        central = self.begin(*WORDS, "--role", "central", "--workers", workers, "--listen",
                             self.endpoint, "--keys", self.directory / "central", "--progress",
                             "json", "--run-dir", self.directory / "run")
        central.until("started")
        return central

    def start_stage(self, *words):
        return self.begin("--role", "stage", "--central", self.endpoint, *words)

    def start_keyed(self, name, *words):
        self.key(name)
        return self.start_stage("--keys", self.directory / name, "--central-key",
                                self.key("central"), *words)

    def wait_message(self, started, *needs):
        deadline = time.monotonic() + 30
        while not all(need in started.message() for need in needs):
            self.assertLess(time.monotonic(), deadline, started.message())
            time.sleep(0.02)

    def check_end(self, started, code=0):
        self.assertEqual(started.end(), code, started.message())


class Strangers(Case):
    def test_strangers_are_refused_and_the_run_is_that_of_one_device(self):
        self.allow("one", "two")
        central = self.start_central(2)
        stranger_key = self.fingerprint("stranger")
        stranger = self.start_keyed("stranger")
        plain = self.start_stage("--insecure")
        event = central.until("stranger", lambda event: event["fingerprint"] == stranger_key)
        self.assertEqual(event["address"], self.host)
        self.assertIn("--allow", event["reason"])
        central.until("stranger", lambda event: "does not use keys" in event["reason"])
        self.wait_message(stranger, stranger_key, "--allow stranger=" + self.key("stranger"))
        self.wait_message(plain, "uses keys", "--central-key")
        if self.host != "127.0.0.1":
            self.assertIn("nothing is encrypted", plain.message())
        stages = [self.start_keyed(name) for name in ("one", "two")]
        for each in [central, *stages]:
            self.check_end(each)
        self.assertEqual({event["name"] for event in central.all("device_joined")}, {"one", "two"})
        self.assertEqual(len(central.finished()["weights_sha256"]), 64)
        self.assertEqual(central.hash(), self.train(*WORDS, "--role", "solo").hash())

    def test_a_board_is_added_while_central_waits(self):
        central = self.start_central(1)
        board = self.start_keyed("board")
        central.until("stranger")
        self.assertEqual(central.all("device_joined"), [])
        self.allow("board")
        central.joined("board")
        self.check_end(central)
        self.check_end(board)

    def test_another_name_is_refused_with_the_remedy(self):
        self.allow("board")
        central = self.start_central(1)
        board = self.start_keyed("board", "--name", "laptop")
        self.check_end(board, code=3)
        self.assertIn("--name board", board.message())
        event = central.until("stranger")
        self.assertIn("calls itself laptop", event["reason"])
        self.assertEqual(event["fingerprint"], self.fingerprint("board"))

    def test_another_central_is_noticed(self):
        self.allow("board")
        central = self.start_central(1)
        board = self.start_stage("--keys", self.directory / "board", "--central-key",
                                 self.key("other"))
        central.until("stranger", lambda event: "another key" in event["reason"])
        self.wait_message(board, self.fingerprint("other"), "--central-key")

    def test_local_with_keys(self):
        self.key("central")
        outcome = self.train(*WORDS, "--role", "local", "--stages", 3, "--keys",
                             self.directory / "central", "--listen", f"tcp://{self.host}:*")
        self.assertEqual(outcome.hash(), self.train(*WORDS, "--role", "solo").hash())


class Files(Case):
    def test_keygen_makes_one_key_and_shows_it_again(self):
        first = self.keygen("device")
        self.assertIn("made now", first)
        secret = self.directory / "device" / "key"
        self.assertEqual(secret.stat().st_mode & 0o777, 0o600)
        self.assertEqual(secret.parent.stat().st_mode & 0o777, 0o700)
        before = secret.read_bytes()
        self.assertNotIn("made now", self.keygen("device"))
        self.assertEqual(secret.read_bytes(), before)
        self.assertNotIn(before.split()[-1].decode(), first)  # the secret is not shown

    def test_keys_where_the_user_has_them(self):
        environment = dict(os.environ, XDG_CONFIG_HOME=str(self.directory / "config"))
        made = self.end(self.start("keygen", env=environment))
        self.assertEqual(made.code, 0, made.err)
        self.assertTrue((self.directory / "config" / "ftrun" / "key").is_file())
        doctor = self.end(self.start("doctor", env=environment))
        self.assertRegex(doctor.out, r"keys +\S+, fingerprint [0-9a-f-]{24}")

    def test_what_is_refused(self):
        secret = self.directory / "device" / "key"
        allowed = self.directory / "device" / "allowed_keys"
        central = [*WORDS, "--role", "central", "--listen", "tcp://192.0.2.1:7117", "--keys",
                   secret.parent]
        self.refused(*central, needs=["--listen", "ftrun keygen", "--insecure"])
        key = self.key("device")
        secret.chmod(0o644)
        self.refused(*central, needs=[f"chmod 600 {secret}"])
        self.refused("keygen", "--keys", secret.parent, needs=[f"chmod 600 {secret}"])
        secret.chmod(0o600)
        allowed.write_text(f"a {key}\nb {key}\n", encoding="ascii")
        self.refused(*central, needs=[allowed, "is there already, as a"])
        allowed.unlink()
        os.mkfifo(allowed)
        self.refused(*central, needs=[allowed, "not a regular file"])
        allowed.unlink()
        for words in ([f"two words={key}"], ["name"], ["name=rq:rM>}U?@Lns47E1%kR.o@n%"],
                      ["=" + key], [f"a={key}", "--allow", f"b={key}"]):
            self.refused("keygen", "--keys", secret.parent, "--allow", *words)
        stage = ["--role", "stage", "--central", "tcp://192.0.2.1:7117", "--keys", secret.parent]
        self.refused(*stage, "--central-key", "zz", needs=["--central-key", "64 hexadecimal"])
        self.refused(*stage, "--central-key", key, "--insecure", needs=["--insecure"])

    def test_endpoints(self):
        for endpoint, cause in (("tcp://:7117", "no host"), ("tcp://127.0.0.1:7117:3", "colon"),
                                ("tcp://127.0.0.1:99999", "65535"), ("127.0.0.1:7117", "tcp://")):
            self.refused(*WORDS, "--role", "central", "--listen", endpoint,
                         needs=["--listen", endpoint, cause])
            self.refused("--role", "stage", "--central", endpoint,
                         needs=["--central", endpoint, cause])


if __name__ == "__main__":
    unittest.main()
