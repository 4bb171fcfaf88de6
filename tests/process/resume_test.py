"""What `--resume` and `--discard-run` accept and refuse, and how an interrupted run goes on."""

import signal
import unittest

import cluster
import ftrun

RUN = [ftrun.EXAMPLE, "--data", "synthetic:1x28x28:10:256", "--batch-size", 16, "--schedule",
       "sync", "--replicate-every", 10]


class Foreign(cluster.Case):
    """A stage holds an unfinished run whose central is gone."""

    def abandon(self, run):
        """Leaves stage "a" with an unfinished run; returns the run's id."""
        run.begin("a").until_batch(50)
        run.central.kill()
        return run.central.all("started")[0]["run"]

    def test_another_run_is_refused(self):
        with self.cluster(*RUN, "--batches", 200) as run:
            held = self.abandon(run)
            first = run.run_dir
            run.run_dir = run.directory / "second"
            refused = run.start_central()
            self.check_end(refused, 3)
            for words in ("stage a", "--resume", f"--discard-run {held}"):
                self.assertIn(words, refused.message())
            self.assertEqual(refused.all("batch"), [])
            # Whoever names another run is refused as well.
            run.run_dir = run.directory / "third"
            self.check_end(run.start_central("--discard-run", "0" * 32), 3)
            # Nothing of that has done harm to the run that the stage holds.
            run.run_dir = first
            run.start_central("--resume")
            self.check_solo(run)
            self.check_batches(run, 200)
            self.check_end(run.stages["a"])

    def test_discarded_on_request(self):
        with self.cluster(*RUN, "--batches", 200) as run:
            held = self.abandon(run)
            run.run_dir = run.directory / "second"
            run.start_central("--discard-run", held)
            self.check_solo(run)
            self.check_end(run.stages["a"])
            self.assertNotEqual(run.central.all("started")[0]["run"], held)
            self.assertEqual(run.central.all("reconfigured")[0]["resume_batch"], 0)

    def test_one_that_comes_while_training_is_left_alone(self):
        with self.cluster(*RUN, "--batches", 200) as other:
            held = self.abandon(other)
            with self.cluster(*RUN, "--batches", 400, port=other.port) as run:
                # The second central has a stage of its own: the foreigner comes when it trains.
                run.start_central("--workers", 0)
                event = run.central.until("foreign_run")
                self.assertEqual((event["name"], event["run"]), ("a", held))
                self.check_solo(run)
            other.start_central("--resume")
            self.check_solo(other)
            self.check_end(other.stages["a"])


class Resume(cluster.Case):
    def unfinished(self, run):
        """A run directory whose central was killed before the end."""
        run.start_central("--workers", 0).until_batch(40)
        run.central.kill()

    def test_an_option_that_contradicts_the_run(self):
        with self.cluster(*RUN, "--batches", 200) as run:
            self.unfinished(run)
            resume = ["--resume", "--run-dir", run.run_dir]
            for option, value in (("--batch-size", 32), ("--seed", 7), ("--schedule", "async"),
                                  ("--data", "synthetic:1x28x28:10:512"), ("--lr", 0.5),
                                  ("--micro-batches", 2), ("--batches", 900),
                                  ("--momentum", 0.5), ("--shuffle", "off"),
                                  ("--loss", "mse"), ("--weight-decay", 0.1),
                                  ("--aggregate-every", 4)):
                with self.subTest(option=option):
                    self.refused(*resume, option, value, needs=[option, run.run_dir])
            lenet = ftrun.MODELS / "lenet_train_op14.onnx"
            self.refused(lenet, *resume, needs=["lenet_train", "another model"])
            # None of the refusals has touched the run. Its own options may be repeated.
            run.start_central("--resume", "--workers", 0)
            self.check_solo(run)

    def test_stages_train_with_other_options(self):
        with self.cluster(*RUN, "--batches", 200) as run:
            run.begin("a").until_batch(50)
            run.central.kill()
            run.wipe()
            right = run.words
            run.words = [*right, "--seed", "7"]
            wrong = run.start_central("--resume")
            self.check_end(wrong, 2)
            self.assertIn("stage a", wrong.message())
            self.assertIn("--seed", wrong.message())
            run.words = right
            # The mistake has not cost what the stage holds.
            run.wipe()
            run.start_central("--resume").until("device_joined", timeout=30)
            self.check_solo(run)

    def test_a_finished_run_ends_at_once(self):
        with self.cluster(*RUN, "--batches", 60) as run:
            run.begin("a")
            self.check_solo(run)
            before = run.central.finished()
            run.start_central("--resume", "--workers", 0)
            self.check_solo(run)
            self.assertEqual(run.central.all("batch"), [])
            self.assertEqual(run.central.finished()["loss"], before["loss"])
            self.assertEqual(run.central.finished()["batches"], 60)
            alone = self.run_ftrun("--resume", "--run-dir", run.run_dir, "--progress", "json")
            self.assertEqual(alone.code, 0, alone.err)
            self.assertEqual(alone.hash(), before["weights_sha256"])

    def test_a_finished_run_waits_for_no_stage(self):
        with self.cluster(*RUN, "--batches", 60) as run:
            run.begin("a")
            self.check_solo(run)
            run.start_central("--resume")  # as many stages as by default, and all are gone
            run.central.until("finished", timeout=30)
            self.check_solo(run)

    def test_nothing_to_resume(self):
        (self.directory / "empty").mkdir()
        for name in ("empty", "missing"):
            self.refused(*RUN, "--batches", 5, "--resume", "--run-dir", name,
                         needs=["--resume", name, "no run"])
        self.refused(*RUN, "--batches", 5, "--resume", needs=["--resume", "--run-dir"])
        self.refused("--role", "stage", "--resume", needs=["--resume", "central"])

    def test_without_resume_a_run_is_not_overwritten(self):
        with self.cluster(*RUN, "--batches", 200) as run:
            self.unfinished(run)
            self.refused(*RUN, "--batches", 200, "--run-dir", run.run_dir, needs=["--resume"])


class Interrupt(cluster.Case):
    def test_central_goes_on_as_solo(self):
        with self.cluster(*RUN, "--batches", 300) as run:
            run.begin("a", "b").until_batch(60)
            run.central.send(signal.SIGINT)
            self.check_end(run.central, 130)
            # The run is not over: they wait for a central that goes on with it.
            for stage in run.stages.values():
                self.assertIsNone(stage.popen.poll())
            done = run.central.finished()["batches"]
            newest = run.central.all("batch")[-1]["batch"]
            self.assertEqual(done, newest + 1)
            self.assertLess(done, 300)
            outcome = self.run_ftrun("--resume", "--run-dir", run.run_dir, "--progress", "json")
            self.assertEqual(outcome.code, 0, outcome.err)
            self.assertEqual(outcome.hash(), self.solo_hash(*run.words))
            # The checkpoint was written at the end: nothing is trained twice.
            self.assertEqual(outcome.all("reconfigured")[0]["resume_batch"], done)
            self.check_batches(run, 300)

    def test_solo_goes_on_with_stages(self):
        with self.cluster(*RUN, "--batches", 300) as run:
            solo = run.start(*run.words, "--run-dir", run.run_dir, "--progress", "json")
            solo.until_batch(60)
            solo.send(signal.SIGINT)
            self.check_end(solo, 130)
            run.start_central("--resume", "--workers", 2)
            for name in ("a", "b"):
                run.start_stage(name)
            self.check_solo(run)
            self.check_batches(run, 300)
            for stage in run.stages.values():
                self.check_end(stage)

    def test_the_stages_go_on_when_central_does(self):
        with self.cluster(*RUN, "--batches", 300) as run:
            run.begin("a", "b").until_batch(60)
            run.central.send(signal.SIGINT)
            self.check_end(run.central, 130)
            run.start_central("--resume", "--workers", 2)
            self.check_solo(run)
            self.check_batches(run, 300)
            for stage in run.stages.values():
                self.check_end(stage)

    def test_before_the_first_batch_it_goes_on_from_there(self):
        with self.cluster(*RUN, "--batches", 40) as run:
            run.start_stage("a")
            central = run.start_central("--workers", 1)
            central.until("device_joined")
            central.send(signal.SIGINT)
            self.check_end(central, 130)
            run.start_central("--resume", "--workers", 1)
            self.check_solo(run)

    # What central waits for is at the stages alone: an interrupt must not destroy it.
    def test_while_layers_are_missing(self):
        with self.cluster(*RUN, "--batches", 300, "--global-every", 1) as run:
            central = run.begin("a", "b")
            central.until_batch(60)
            central.kill()
            run.wipe()
            run.stages["b"].freeze()
            central = run.start_central("--resume", "--workers", 1)
            central.until("waiting")
            central.send(signal.SIGINT)
            self.check_end(central, 130)
            self.assertIsNone(run.stages["a"].popen.poll())
            run.stages["b"].wake()
            run.start_central("--resume", "--workers", 2)
            self.check_solo(run)
            self.assertGreaterEqual(run.central.all("reconfigured")[0]["resume_batch"], 11)

    def test_during_a_recovery(self):
        with self.cluster(*RUN, "--batches", 300) as run:
            central = run.begin("a", "b")
            central.until_batch(60)
            run.stages["b"].kill()
            central.lost("b")
            central.send(signal.SIGINT)
            self.check_end(central, 130)
            run.start_central("--resume", "--workers", 0)
            self.check_solo(run)
            self.check_batches(run, 300)


if __name__ == "__main__":
    unittest.main()
