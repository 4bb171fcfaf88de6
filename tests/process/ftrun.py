"""Runs the ftrun binary as a user would; shared by the process tests.

The binary is build/<preset>/ftrun, named by the environment variable FTRUN.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("FTRUN", str(ROOT / "build" / "dev" / "ftrun"))
MODELS = ROOT / "tests" / "golden" / "models"
EXAMPLE = ROOT / "examples" / "residual_cnn.onnx"
TIMEOUT_S = 120

# Whoever runs the tests may have a key; these devices have none unless they are given one.
os.environ["XDG_CONFIG_HOME"] = "/nonexistent"


class Outcome:
    """An ended process: exit code, standard error, and the JSON events it printed."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err
        self.events = []
        for line in out.splitlines():
            if line.startswith('{"event"'):
                self.events.append(json.loads(line))

    def all(self, name):
        return [event for event in self.events if event["event"] == name]

    def finished(self):
        return self.all("finished")[-1]

    def hash(self):
        return self.finished()["weights_sha256"]


class Case(unittest.TestCase):
    """A test with a scratch directory and the means to start ftrun in it."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ftrun-test-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.runs = 0

    def start(self, *words, **more):
        process = subprocess.Popen(
            [BINARY, *map(str, words)], cwd=self.directory, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    @staticmethod
    def end(process, timeout=TIMEOUT_S):
        out, err = process.communicate(timeout=timeout)
        return Outcome(process.returncode, out, err)

    def run_ftrun(self, *words):
        return self.end(self.start(*words))

    def train(self, model, *words, code=0):
        """Trains with JSON events; returns the outcome, whose run directory is `.run_dir`."""
        self.runs += 1
        run_dir = self.directory / f"run-{self.runs}"
        outcome = self.run_ftrun(model, "--progress", "json", "--run-dir", run_dir, *words)
        self.assertEqual(outcome.code, code, outcome.err)
        outcome.run_dir = run_dir
        return outcome

    def refused(self, *words, code=2, needs=()):
        """Runs what must be refused: this exit code, and a message with these words."""
        outcome = self.run_ftrun(*words)
        self.assertEqual(outcome.code, code, outcome.err)
        for word in needs:
            self.assertIn(str(word), outcome.err)
        return outcome
