"""`async` under kills, joins, leaves and restarts: the oracle makes the same bits of the run's
record (DESIGN 3)."""

import random
import signal
import unittest

import cluster
import ftrun

BATCHES = 160
RUN = [ftrun.EXAMPLE, "--data", "synthetic:1x28x28:10:256", "--batch-size", 16, "--batches",
       BATCHES, "--schedule", "async", "--replicate-every", 10, "--failure-timeout", "1s"]
AGGREGATE = ((), ("--aggregate-every", 4))


class Oracle(cluster.Case):
    def clusters(self):
        for more in AGGREGATE:
            with self.subTest(more=more), self.cluster(*RUN, *more) as run:
                yield run

    def check(self, run):
        self.check_replay(run)
        self.check_batches(run, BATCHES)
        # The record matters: without its reconfigurations the bits would be others.
        self.assertNotEqual(run.central.hash(), self.solo_hash(*run.words))

    def test_kill(self):
        for run in self.clusters():
            run.begin("a", "b", "c")
            draw = random.Random(len(run.words))
            for batch in sorted(draw.sample(range(5, 120), 2)):
                run.central.until_batch(batch)
                position = run.central.position()
                name = draw.choice(sorted(run.stages))
                run.stages.pop(name).kill()
                run.central.lost(name, position)
            self.check(run)

    def test_join(self):
        for run in self.clusters():
            run.begin("a").until_batch(40)
            run.start_stage("b")
            run.central.reconfigured("join")
            self.check(run)
            self.check_nothing_replayed(run.central)

    def test_leave(self):
        for run in self.clusters():
            run.begin("a", "b").until_batch(40)
            run.stages["a"].send(signal.SIGTERM)
            self.check_end(run.stages["a"])
            self.check(run)
            self.check_nothing_replayed(run.central)

    def test_central_restarts(self):
        for run in self.clusters():
            run.begin("a", "b").until_batch(75)
            run.central.kill()
            run.start_central("--resume", "--workers", 2)
            self.check(run)

    def test_central_restarts_without_its_directory(self):
        for run in self.clusters():
            run.begin("a", "b").until_batch(75)
            run.central.kill()
            run.wipe()
            run.start_central("--resume", "--workers", 2)
            self.check_replay(run)
            self.assertNotEqual(run.central.hash(), self.solo_hash(*run.words))

    def test_all_of_them(self):
        for run in self.clusters():
            run.begin("a", "b").until_batch(35)
            run.stages["a"].kill()
            run.central.reconfigured("failure")
            run.start_stage("c")
            run.central.reconfigured("join")
            run.central.until_batch(80)
            run.central.kill()
            run.start_central("--resume", "--workers", 2)
            run.central.reconfigured("restart")
            run.central.until_batch(110)
            run.stages["b"].send(signal.SIGTERM)
            self.check_end(run.stages["b"])
            self.check(run)
            self.check_end(run.stages["c"])


if __name__ == "__main__":
    unittest.main()
