"""What a person is told: why a run has stopped and how it goes on, what a stage does, what was
wrong on the command line."""

import json
import signal
import time
import unittest

import cluster
import ftrun

LENET = ftrun.MODELS / "lenet_train_op14.onnx"
GREY = ["--data", "synthetic:1x28x28:10:64"]
RUN = [LENET, *GREY, "--batch-size", 8, "--schedule", "sync", "--replicate-every", 10]


class Memory(ftrun.Case):
    def test_too_little_is_refused_with_the_numbers(self):
        self.refused(LENET, *GREY, "--role", "solo", "--memory", "16MB",
                     needs=["--memory", "MiB", "for the program", "--batch-size", "fits"])
        for words in (["--role", "local", "--stages", 2],
                      ["--role", "local", "--stages", 2, "--partition", "fixed:2"],
                      ["--role", "central", "--workers", 0, "--listen", "tcp://127.0.0.1:*"]):
            with self.subTest(words=words):
                self.refused(LENET, *GREY, *words, "--memory", "16MB",
                             needs=["it needs", "memory for layers", "MiB"])

    def test_enough_is_enough(self):
        self.train(LENET, *GREY, "--batch-size", 8, "--batches", 3, "--memory", "1GB")


class Interrupted(cluster.Case):
    def test_at_its_first_message_it_ends_by_itself(self):
        # A warning comes before all else.
        everywhere = ["--insecure", "--listen", "tcp://0.0.0.0:*", "--progress", "json"]
        for role in (["central", *everywhere, *RUN],
                     ["stage", *everywhere, "--central", "tcp://127.0.0.1:31999"]):
            for number in (signal.SIGTERM, signal.SIGINT):
                with self.subTest(role=role, number=number), self.cluster(*RUN) as run:
                    started = run.start("--role", *role)
                    started.until_message()
                    started.send(number)
                    self.check_end(started, 130)
                    self.assertIn("interrupted", started.message())

    def test_with_processes_of_its_own(self):
        with self.cluster(*RUN) as run:
            local = run.start(*RUN, "--role", "local", "--stages", 3, "--progress", "json")
            local.until("started")
            local.send(signal.SIGINT)
            self.check_end(local, 130)

    def test_before_training_it_says_how_to_go_on(self):
        with self.cluster(*RUN, "--batches", 20) as run:
            central = run.start_central("--workers", 1)
            central.until("started")
            central.send(signal.SIGTERM)
            self.check_end(central, 130)
            self.assertIn(f"interrupted before training began; go on with: ftrun --resume "
                          f"--run-dir {run.run_dir} --role central", central.message())
            run.start_stage("a")
            central = run.start("--resume", "--run-dir", run.run_dir, "--role", "central",
                                "--listen", run.endpoint, "--progress", "json")
            self.check_end(central)
            self.assertEqual(central.finished()["batches"], 20)

    def test_says_so_and_how_to_go_on(self):
        with self.cluster(*RUN, "--batches", 100000) as run:
            solo = run.start(*run.words, "--run-dir", run.run_dir, "--progress", "json")
            solo.until_batch(20)
            solo.send(signal.SIGINT)
            self.check_end(solo, 130)
            finished = solo.finished()
            self.assertIs(finished["interrupted"], True)
            self.assertIn(f"interrupted after batch {finished['batches']} of 100000; go on with: "
                          f"ftrun --resume --run-dir {run.run_dir}", solo.message())

    def test_the_end_is_no_interruption(self):
        self.assertNotIn("interrupted", self.train(*RUN, "--batches", 3).finished())


class Finished(ftrun.Case):
    def test_a_finished_run_says_so(self):
        run = self.train(*RUN, "--batches", 20)
        again = self.run_ftrun("--resume", "--run-dir", run.run_dir)
        self.assertEqual(again.code, 0)
        self.assertIn("finished already", again.err)
        self.assertNotIn("going on", again.out)

    def test_every_event_has_its_time(self):
        before = time.time()
        run = self.train(*RUN, "--batches", 3)
        times = [event["time"] for event in run.events]
        self.assertEqual(times, sorted(times))
        self.assertGreaterEqual(times[0], before - 0.001)
        self.assertLessEqual(times[-1], time.time())
        started = run.all("started")[0]
        self.assertEqual((started["schedule"], started["micro_batches"]), ("sync", 4))


class Stage(cluster.Case):
    def test_tells_what_it_does(self):
        with self.cluster(*RUN, "--batches", 60) as run:
            run.start_central("--workers", 1)
            stage = run.start_stage("pi4", "--progress", "json")
            self.check_end(run.central)
            self.check_end(stage)
            started = run.central.all("started")[0]
            joined = stage.all("joined")[0]
            self.assertEqual((joined["name"], joined["run"], joined["central"]),
                             ("pi4", started["run"], run.endpoint))
            mine = run.central.all("reconfigured")[0]["ranges"][1]
            serving = stage.all("serving")[0]
            self.assertEqual((serving["first"], serving["last"], serving["resume_batch"]),
                             (mine["first"], mine["last"], 0))
            self.assertEqual(stage.all("ended")[0]["batches"], 60)
            for words in ("looking for central", "joined as pi4", "serving layers",
                          "run finished: 60 batches"):
                self.assertIn(words, stage.message())

    def test_one_that_leaves_says_so(self):
        with self.cluster(*RUN, "--batches", 2000) as run:
            run.start_central("--workers", 1)
            stage = run.start_stage("pi4", "--progress", "json")
            run.central.until_batch(20)
            stage.send(signal.SIGTERM)
            self.check_end(stage)
            self.assertGreater(stage.all("ended")[0]["batches"], 20)
            self.assertIn("left the run", stage.message())

    def test_one_that_never_joined_holds_nothing(self):
        with self.cluster(*RUN) as run:
            stage = run.start_stage("lost")
            stage.until_message()
            stage.send(signal.SIGTERM)
            self.check_end(stage, 130)
            self.assertNotIn("taken over", stage.message())


class Resumed(cluster.Case):
    def test_workers_and_partition_are_those_of_the_run(self):
        words = [*RUN, "--batches", 200, "--partition", "fixed:2,4"]
        with self.cluster(*words) as run:
            run.begin("a", "b").until_batch(30)
            run.central.kill()
            central = run.start("--resume", "--run-dir", run.run_dir, "--role", "central",
                                "--listen", run.endpoint, "--progress", "json")
            self.check_end(central)
            self.assertIn("waiting for 2 stages", central.message())
            ranges = central.all("reconfigured")[0]["ranges"]
            self.assertEqual([stage["first"] for stage in ranges], [0, 2, 4])


class CommandLine(ftrun.Case):
    def test_neither_command_nor_file(self):
        self.refused("frobnicate", needs=["frobnicate", "no such command or file"])

    def test_an_export_that_cannot_be_written(self):
        run = self.train(*RUN, "--batches", 3)
        for path in ("/nonexistent/x.onnx", run.run_dir):
            outcome = self.refused("export", run.run_dir, "-o", path, needs=["-o", path])
            self.assertNotIn(".tmp", outcome.err)

    def test_a_damaged_run_is_refused_with_a_remedy(self):
        run = self.train(*RUN, "--batches", 3)
        path = run.run_dir / "checkpoint.ftc"
        path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
        self.refused("--resume", "--run-dir", run.run_dir, "--role", "solo",
                     needs=["checkpoint.ftc", "copy", "move it away"])
        description = json.loads((run.run_dir / "run.json").read_text(encoding="utf-8"))
        description["schedule"] = "foo"
        (run.run_dir / "run.json").write_text(json.dumps(description), encoding="utf-8")
        self.refused("--resume", "--run-dir", run.run_dir, "--role", "solo",
                     needs=["run.json", '"schedule" is foo', "copy"])


class Disk(ftrun.Case):
    def test_full_at_a_checkpoint(self):
        # Larger files than that cannot be written: as on a full disk, but for the errno.
        run_dir = self.directory / "full"
        process = self.start(*RUN, "--batches", 100000, "--run-dir", run_dir, "--progress", "json",
                             preexec_fn=limit_files)
        outcome = self.end(process)
        self.assertEqual(outcome.code, 1, outcome.err)
        self.assertIn("checkpoint.ftc: cannot write", outcome.err)
        self.assertIn(f"ftrun --resume --run-dir {run_dir}", outcome.err)
        self.assertFalse((run_dir / "checkpoint.ftc.tmp").exists())


def limit_files():
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = LENET.stat().st_size + 1000
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


if __name__ == "__main__":
    unittest.main()
