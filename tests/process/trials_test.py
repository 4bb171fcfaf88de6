"""Random faults at random moments of a run on four devices: it ends with the bits of the
undisturbed run.

FTRUN_TRIALS sets how many trials there are, FTRUN_FIRST_TRIAL the first seed: a seed that failed
is tried again with FTRUN_FIRST_TRIAL=SEED FTRUN_TRIALS=1.
"""

import os
import random
import time
import unittest

import cluster
import ftrun

TRIALS = int(os.environ.get("FTRUN_TRIALS", "12"))
FIRST = int(os.environ.get("FTRUN_FIRST_TRIAL", "0"))
BATCHES = 100
RUN = [ftrun.EXAMPLE, "--data", "fashion-mnist", "--batch-size", 16, "--batches", BATCHES,
       "--schedule", "sync", "--replicate-every", 10, "--failure-timeout", "1s"]
STAGES = ("a", "b", "c")


class Trial:
    """The faults of one seed. All draws are made in one order, whatever the run does."""

    def __init__(self, seed):
        draw = random.Random(seed)
        self.victims = draw.sample(STAGES, 2 if draw.random() < 0.25 else 1)
        self.frozen = [draw.random() < 0.5 for _ in STAGES]  # else killed
        self.returns = [draw.random() < 0.5 for _ in STAGES]
        self.by_time = draw.random() < 0.5
        self.at_batch = draw.randrange(BATCHES - 1)
        self.at_s = draw.uniform(0, 0.4)
        self.second = draw.choice(("lost", "reconfigured", "soon"))
        self.soon_s = draw.uniform(0, 0.5)
        self.pause_s = draw.uniform(0, 1)

    def strike(self, run, index):
        name = self.victims[index]
        if self.frozen[index]:
            run.stages[name].freeze()
        else:
            run.stages[name].kill()

    def bring_back(self, run, index):
        name = self.victims[index]
        run.central.lost(name)
        if not self.returns[index]:
            return
        if self.frozen[index]:
            run.stages[name].wake()
        else:
            run.start_stage(name)

    def run(self, run):
        central = run.begin(*STAGES)
        if self.by_time:
            time.sleep(self.at_s)
        else:
            central.until_batch(self.at_batch)
        self.strike(run, 0)
        if len(self.victims) == 2:
            if self.second == "soon":
                time.sleep(self.soon_s)
            elif self.second == "lost":
                central.lost(self.victims[0])
            else:
                central.reconfigured("failure")
            self.strike(run, 1)
        central.lost(self.victims[0])
        time.sleep(self.pause_s)
        for index in range(len(self.victims)):
            self.bring_back(run, index)


class Trials(cluster.Case):
    def test_ends_with_solos_bits(self):
        self.solo_hash(*RUN)
        for seed in range(FIRST, FIRST + TRIALS):
            with self.subTest(seed=seed), self.cluster(*RUN) as run:
                trial = Trial(seed)
                trial.run(run)
                self.check_solo(run)
                self.check_batches(run, BATCHES)
                run.central.reconfigured("failure")
                for name in set(STAGES) - set(trial.victims):
                    self.check_end(run.stages[name])


if __name__ == "__main__":
    unittest.main()
