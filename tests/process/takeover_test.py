"""Two centrals of one run: the one that has slept stops, and does no harm."""

import unittest

import cluster
import forwarder
import ftrun

RUN = [ftrun.EXAMPLE, "--data", "synthetic:1x28x28:10:256", "--batch-size", 16, "--schedule",
       "sync", "--replicate-every", 10, "--failure-timeout", "1s"]


class Takeover(cluster.Case):
    def test_the_one_that_was_asleep_stops(self):
        """Central sleeps, another takes over from the stages; the first wakes in its midst. Only
        one may train. Stages find both at one endpoint, so a forwarder stands before them."""
        words = RUN + ["--batches", 800]
        with self.cluster(*words) as run:
            rooms = [cluster.free_port(), cluster.free_port()]
            front = forwarder.Forwarder(run.port, rooms[0])
            self.addCleanup(front.close)
            listen = ["--listen", f"tcp://127.0.0.1:{rooms[0]}"]
            first = run.start(*run.words, "--role", "central", *listen, "--run-dir",
                              run.directory / "first", "--workers", 2, "--progress", "json")
            run.centrals.append(first)
            for name in ("a", "b"):
                run.start_stage(name)
            first.until_batch(100)
            first.freeze()
            front.send_to(rooms[1])
            run.endpoint = f"tcp://127.0.0.1:{rooms[1]}"
            second = run.start_central("--resume", "--workers", 2)
            second.until_batch(200)
            first.wake()
            self.check_end(first, 3)
            self.assertIn("another central has taken over", first.message())
            self.assertEqual(first.all("finished"), [])
            self.check_end(second)
            self.assertEqual(second.hash(), self.solo_hash(*words))
            for name in ("a", "b"):
                self.check_end(run.stages[name])


if __name__ == "__main__":
    unittest.main()
