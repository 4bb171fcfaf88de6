"""Stages are killed while they train: training goes on from the newest cut and ends with the bits
of the undisturbed run."""

import json
import os
import random
import signal
import unittest

import ftrun

DATA = ["--data", "synthetic:1x28x28:10:256"]
RUN = ["--batch-size", 16, "--batches", 160, "--replicate-every", 10, "--failure-timeout", "1s"]


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


class Recovery(ftrun.Case):
    def disturb(self, draw, kills, *words):
        """Trains with local stages and kills `kills` of them at random batches."""
        self.runs += 1
        run_dir = self.directory / f"run-{self.runs}"
        process = self.start(ftrun.EXAMPLE, *DATA, *RUN, "--role", "local", "--stages", 4,
                             "--progress", "json", "--run-dir", run_dir, *words)
        moments = sorted(draw.sample(range(5, 140), kills))
        lines = []
        for line in process.stdout:
            lines.append(line)
            event = json.loads(line)
            if event["event"] != "batch" or not moments or event["batch"] < moments[0]:
                continue
            moments.pop(0)
            os.kill(draw.choice(children_of(process.pid)), signal.SIGKILL)
        self.assertEqual(process.wait(ftrun.TIMEOUT_S), 0, process.stderr.read())
        outcome = ftrun.Outcome(0, "".join(lines), "")
        outcome.run_dir = run_dir
        return outcome

    def check_story(self, outcome, kills):
        failures = [e for e in outcome.all("reconfigured") if e["reason"] == "failure"]
        self.assertGreaterEqual(len(failures), 1)
        self.assertEqual(len(outcome.all("device_lost")), kills)
        # Every batch, in order, and again only after a failure.
        seen = set()
        expected = 0
        for event in outcome.all("batch"):
            self.assertLessEqual(event["batch"], expected)
            self.assertEqual(event.get("replayed", False), event["batch"] in seen)
            seen.add(event["batch"])
            expected = event["batch"] + 1
        self.assertEqual(seen, set(range(160)))
        for event in failures:
            self.assertLessEqual(event["replayed"], 30)

    def test_sync_ends_with_solos_bits(self):
        solo = self.train(ftrun.EXAMPLE, *DATA, *RUN, "--schedule", "sync")
        for seed in range(4):
            with self.subTest(seed=seed):
                kills = 1 + seed % 3
                outcome = self.disturb(random.Random(seed), kills, "--schedule", "sync")
                self.check_story(outcome, kills)
                self.assertEqual(outcome.hash(), solo.hash())

    def test_all_stages_at_once(self):
        solo = self.train(ftrun.EXAMPLE, *DATA, *RUN, "--schedule", "sync")
        process = self.start(ftrun.EXAMPLE, *DATA, *RUN, "--schedule", "sync", "--role", "local",
                             "--stages", 3, "--progress", "json")
        lines = []
        for line in process.stdout:
            lines.append(line)
            if json.loads(line).get("batch") == 30:
                for child in children_of(process.pid):
                    os.kill(child, signal.SIGKILL)
        self.assertEqual(process.wait(ftrun.TIMEOUT_S), 0, process.stderr.read())
        self.assertEqual(ftrun.Outcome(0, "".join(lines), "").hash(), solo.hash())

    def test_a_stage_that_outlives_its_central_serves_the_next(self):
        words = [ftrun.EXAMPLE, *DATA, "--role", "central", "--progress", "json"]
        first = self.start(*words, "--listen", "tcp://127.0.0.1:*", "--batches", 100000)
        endpoint = json.loads(first.stdout.readline())["central"]
        stage = self.start("--role", "stage", "--central", endpoint)
        while '"batch"' not in first.stdout.readline():
            pass
        first.kill()
        first.wait()
        second = self.end(self.start(*words, "--listen", endpoint, "--batches", 5))
        self.assertEqual(second.code, 0, second.err)
        self.assertEqual(self.end(stage).code, 0)

    def test_async_equals_the_oracle(self):
        for seed in range(2):
            with self.subTest(seed=seed):
                outcome = self.disturb(random.Random(seed), 1 + seed, "--aggregate-every", 3)
                self.check_story(outcome, 1 + seed)
                replayed = self.run_ftrun("replay", outcome.run_dir, "--json")
                self.assertEqual(replayed.events[0]["weights_sha256"], outcome.hash())


if __name__ == "__main__":
    unittest.main()
