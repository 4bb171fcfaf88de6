"""Central is killed and started again: the run goes on and ends with the bits of the undisturbed
run, from the directory or from what the stages hold."""

import random
import unittest

import cluster
import ftrun

BATCHES = 200
RUN = [ftrun.EXAMPLE, "--data", "synthetic:1x28x28:10:256", "--batch-size", 16, "--batches",
       BATCHES, "--schedule", "sync", "--replicate-every", 10, "--failure-timeout", "1s"]


class Restart(cluster.Case):
    def kill_at(self, run, draw, first=5, last=150):
        """Kills central at a random batch, not before `first`; returns which."""
        batch = draw.randrange(first, last)
        run.central.until_batch(batch)
        run.central.kill()
        return batch

    def check(self, run, *names):
        self.check_solo(run)
        for name in names:
            self.check_end(run.stages[name])
        resumed = run.central.all("reconfigured")[0]
        self.assertEqual(resumed["reason"], "restart")

    def test_from_its_directory(self):
        for seed in range(3):
            with self.subTest(seed=seed), self.cluster(*RUN) as run:
                run.begin("a", "b", "c")
                self.kill_at(run, random.Random(seed))
                run.start_central("--resume", "--workers", 3)
                self.check(run, "a", "b", "c")
                self.check_batches(run, BATCHES)

    def test_from_the_directory_alone(self):
        with self.cluster(*RUN) as run:
            run.begin("a", "b")
            self.kill_at(run, random.Random(10), 60)
            for stage in run.stages.values():
                stage.kill()
            run.start_central("--resume", "--workers", 0)
            self.check(run)
            self.check_batches(run, BATCHES)
            # Far from the beginning: a checkpoint is written every second cut.
            self.assertGreater(run.central.all("reconfigured")[0]["resume_batch"], 0)

    def test_from_what_the_stages_hold(self):
        for seed in range(3):
            with self.subTest(seed=seed), self.cluster(*RUN) as run:
                run.begin("a", "b", "c")
                self.kill_at(run, random.Random(20 + seed), 40)
                run.wipe()
                run.start_central("--resume", "--workers", 3)
                self.check(run, "a", "b", "c")
                self.assertGreater(run.central.all("reconfigured")[0]["resume_batch"], 0)

    def test_waits_for_the_stages_that_hold_the_rest(self):
        with self.cluster(*RUN) as run:
            run.begin("a", "b", "c")
            self.kill_at(run, random.Random(25), 60)
            run.wipe()
            # Neighbours: nobody else holds the layers of the first.
            order = [stage["name"] for stage in run.centrals[0].all("reconfigured")[0]["ranges"]]
            asleep = order[1:3]
            for name in asleep:
                run.stages[name].freeze()
            central = run.start_central("--resume", "--workers", 1)
            waiting = central.until("waiting")
            self.assertEqual(central.all("reconfigured"), [])
            self.assertGreater(waiting["batch"], 0)
            for name in asleep:
                run.stages[name].wake()
            self.check(run, "a", "b", "c")
            self.assertGreater(central.all("reconfigured")[0]["resume_batch"], 0)

    def test_on_fewer_devices(self):
        for seed in range(2):
            with self.subTest(seed=seed), self.cluster(*RUN) as run:
                draw = random.Random(30 + seed)
                run.begin("a", "b", "c")
                self.kill_at(run, draw)
                # Lost while central is away.
                gone = draw.choice("abc")
                run.stages[gone].kill()
                run.start_central("--resume", "--workers", 2)
                self.check(run, *sorted(set("abc") - {gone}))
                self.check_batches(run, BATCHES)

    def test_on_more_devices(self):
        with self.cluster(*RUN) as run:
            run.begin("a", "b")
            self.kill_at(run, random.Random(40))
            run.start_stage("c")
            run.start_central("--resume", "--workers", 3)
            self.check(run, "a", "b", "c")
            self.check_batches(run, BATCHES)
            self.assertEqual(len(run.central.all("reconfigured")[0]["ranges"]), 4)

    def test_with_all_stages_new(self):
        with self.cluster(*RUN) as run:
            run.begin("a", "b")
            self.kill_at(run, random.Random(50))
            for name in ("a", "b"):
                run.stages[name].kill()
                run.start_stage(name)
            run.start_central("--resume", "--workers", 2)
            self.check(run, "a", "b")
            self.check_batches(run, BATCHES)

    def test_twice_in_a_row(self):
        for seed in range(2):
            with self.subTest(seed=seed), self.cluster(*RUN) as run:
                draw = random.Random(60 + seed)
                run.begin("a", "b", "c")
                killed = self.kill_at(run, draw, 5, 90)
                run.start_central("--resume", "--workers", 3)
                self.kill_at(run, draw, killed, killed + 60)
                run.start_central("--resume", "--workers", 3)
                self.check(run, "a", "b", "c")
                self.check_batches(run, BATCHES)

    def test_again_at_any_moment_of_its_return(self):
        """Central is killed while it gathers its stages, five times; then it is left alone."""
        with self.cluster(*RUN) as run:
            draw = random.Random(70)
            run.begin("a", "b", "c")
            self.kill_at(run, draw)
            for event in ("started", "device_joined", "reconfigured", "batch", "device_joined"):
                run.start_central("--resume", "--workers", 3).until(event)
                run.central.kill()
            run.start_central("--resume", "--workers", 3)
            self.check(run, "a", "b", "c")
            self.check_batches(run, BATCHES)

    def test_a_stage_is_lost_after_the_restart(self):
        with self.cluster(*RUN) as run:
            draw = random.Random(80)
            run.begin("a", "b", "c")
            self.kill_at(run, draw, 5, 90)
            run.start_central("--resume", "--workers", 3)
            run.central.reconfigured("restart")
            run.stages[draw.choice("abc")].kill()
            run.central.reconfigured("failure")
            self.check_solo(run)
            self.check_batches(run, BATCHES)

    def test_evaluation_comes_once_per_epoch(self):
        grey = ftrun.ROOT / "tests/golden/data"
        files = f"{grey}/grey28_x.npy,{grey}/grey28_y.npy"
        words = [ftrun.EXAMPLE, "--data", f"npy:{files},{files}", "--batch-size", 8, "--epochs",
                 60, "--schedule", "sync", "--replicate-every", 5]
        solo = self.train(*words)
        expected = [(event["epoch"], event["accuracy"]) for event in solo.all("evaluated")]
        self.assertEqual([epoch for epoch, _ in expected], list(range(60)))
        for seed in range(3):
            with self.subTest(seed=seed), self.cluster(*words) as run:
                draw = random.Random(90 + seed)
                run.begin("a", "b")
                epoch = draw.randrange(5, 40)
                # At once after an evaluation, or just before the next.
                central = run.central
                central.until("evaluated", lambda event: event["epoch"] >= epoch)
                if seed > 0:
                    central.until("batch", since=central.position())
                central.kill()
                run.start_central("--resume", "--workers", 2)
                self.check_end(run.central)
                self.assertEqual(run.central.hash(), solo.hash())
                self.assertEqual([(event["epoch"], event["accuracy"]) for event in run.recorded()
                                  if event["event"] == "evaluated"], expected)
                self.assertEqual(run.central.finished()["accuracy"], solo.finished()["accuracy"])


if __name__ == "__main__":
    unittest.main()
