"""Stages of a cluster are lost, all subsets of them, or were only asleep: central goes on with
whoever is there."""

import itertools
import unittest

import cluster
import ftrun

RUN = [ftrun.EXAMPLE, "--data", "synthetic:1x28x28:10:256", "--batch-size", 16, "--schedule",
       "sync", "--replicate-every", 10, "--failure-timeout", "1s"]
STAGES = ("a", "b", "c")


class Loss(cluster.Case):
    def test_every_subset_of_stages_at_once(self):
        subsets = [subset for count in (1, 2, 3)
                   for subset in itertools.combinations(STAGES, count)]
        self.assertEqual(len(subsets), 7)
        for subset in subsets:
            with self.subTest(subset=subset), self.cluster(*RUN, "--batches", 80) as run:
                central = run.begin(*STAGES)
                central.until_batch(33)
                for name in subset:
                    run.stages[name].popen.kill()
                for name in subset:
                    central.lost(name)
                self.check_solo(run)
                self.check_batches(run, 80)
                last = central.all("reconfigured")[-1]
                self.assertEqual(last["reason"], "failure")
                self.assertEqual(len(last["ranges"]), 4 - len(subset))
                self.assertLessEqual(last["replayed"], 40)
                for name in set(STAGES) - set(subset):
                    self.check_end(run.stages[name])

    def test_a_sleeper_comes_back_and_does_no_harm(self):
        for sleepers in (("b",), ("a", "c")):
            with self.subTest(sleepers=sleepers), self.cluster(*RUN, "--batches", 600) as run:
                central = run.begin(*STAGES)
                central.until_batch(50)
                for name in sleepers:
                    run.stages[name].freeze()
                for name in sleepers:
                    central.lost(name)
                central.reconfigured("failure")
                # The others have gone back, and on; what the sleeper still says is of the past.
                central.until_batch(100)
                position = central.position()
                for name in sleepers:
                    run.stages[name].wake()
                for name in sleepers:
                    central.joined(name, position)
                central.reconfigured("join", position)
                self.check_solo(run)
                self.check_batches(run, 600)
                for name in STAGES:
                    self.check_end(run.stages[name])


if __name__ == "__main__":
    unittest.main()
