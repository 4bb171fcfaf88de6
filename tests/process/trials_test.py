"""Random faults at random moments of a run on four devices: it ends with the bits of the
undisturbed run. In every other trial the pipeline is cut by measured speeds, and again when a
device becomes slow or fast at a random moment.

FTRUN_TRIALS sets how many trials there are, FTRUN_FIRST_TRIAL the first seed: a seed that failed
is tried again with FTRUN_FIRST_TRIAL=SEED FTRUN_TRIALS=1.
"""

import os
import random
import time
import unittest

import cluster
import ftrun
import process

TRIALS = int(os.environ.get("FTRUN_TRIALS", "12"))
FIRST = int(os.environ.get("FTRUN_FIRST_TRIAL", "0"))
BATCHES = 100
RUN = [ftrun.EXAMPLE, "--data", "fashion-mnist", "--batch-size", 16, "--batches", BATCHES,
       "--schedule", "sync", "--replicate-every", 10, "--failure-timeout", "1s"]
STAGES = ("a", "b", "c")
SILENT_S = 2  # after which central has surely noticed


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
        self.dynamic = seed % 2 == 1
        self.factors = [draw.choice((1, 3, 10)) for _ in STAGES]
        self.changed = draw.choice(STAGES)
        self.change_to = draw.choice((1, 3, 10))
        self.change_at = draw.randrange(BATCHES - 1)
        self.change_first = draw.random() < 0.5
        self.struck = {}  # by victim: the number of events so far, and the moment

    def words(self):
        return ["--partition", "dynamic"] if self.dynamic else []

    def begin(self, run):
        if not self.dynamic:
            return run.begin(*STAGES)
        run.start_central("--workers", len(STAGES))
        for name, factor in zip(STAGES, self.factors):
            self.set_factor(run, name, factor)
            run.start_stage(name, "--slowdown", f"@{run.directory / name}")
        run.central.until("reconfigured")
        return run.central

    def had_layers(self, run):
        """Whether the first victim ran a range: the loss of another is no reason to stop."""
        events = run.central.events
        lost = self.lost(run, 0)
        before = events[:events.index(lost)] if lost else events
        last = [event for event in before if event["event"] == "reconfigured"][-1]
        return self.victims[0] in [stage["name"] for stage in last["ranges"]]

    def lost(self, run, index):
        """The event; None when the run has ended without: a short run may end before the silence of
        a device that it does not need is one."""
        name = self.victims[index]
        try:
            return run.central.lost(name)
        except process.Timeout:
            position, moment = self.struck[index]
            after = run.central.all("reconfigured", since=position)
            before = run.central.all("reconfigured")[:-len(after) or None]
            needed = any(stage["name"] == name for move in before[-1:] + after
                         for stage in move["ranges"])
            ends = [at for at, event in zip(run.central.times, run.central.events)
                    if event["event"] == "evaluated"]
            over = ends and ends[-1] < moment
            if not over and (needed or not ends or ends[-1] > moment + SILENT_S):
                raise
            return None

    @staticmethod
    def set_factor(run, name, factor):
        (run.directory / name).write_text(f"{factor}\n", encoding="utf-8")

    def change(self, run):
        if self.dynamic:
            run.central.until_batch(self.change_at)
            self.set_factor(run, self.changed, self.change_to)

    def strike(self, run, index):
        name = self.victims[index]
        self.struck[index] = (run.central.position(), time.monotonic())
        if self.frozen[index]:
            run.stages[name].freeze()
        else:
            run.stages[name].kill()

    def bring_back(self, run, index):
        name = self.victims[index]
        if self.lost(run, index) is None or not self.returns[index]:
            return
        if self.frozen[index]:
            run.stages[name].wake()
        else:
            run.start_stage(name)

    def run(self, run):
        central = self.begin(run)
        if self.change_first:
            self.change(run)
        if self.by_time:
            time.sleep(self.at_s)
        else:
            central.until_batch(self.at_batch)
        self.strike(run, 0)
        if len(self.victims) == 2:
            if self.second == "soon":
                time.sleep(self.soon_s)
            elif self.second == "lost":
                self.lost(run, 0)
            elif self.lost(run, 0) is not None and self.had_layers(run):
                central.reconfigured("failure")
            self.strike(run, 1)
        self.lost(run, 0)
        time.sleep(self.pause_s)
        for index in range(len(self.victims)):
            self.bring_back(run, index)
        if not self.change_first:
            self.change(run)


class Trials(cluster.Case):
    def test_ends_with_solos_bits(self):
        self.solo_hash(*RUN)
        for seed in range(FIRST, FIRST + TRIALS):
            trial = Trial(seed)
            with self.subTest(seed=seed), self.cluster(*RUN, *trial.words()) as run:
                trial.run(run)
                self.check_solo(run)
                self.check_batches(run, BATCHES)
                if trial.had_layers(run):
                    run.central.reconfigured("failure")
                for name in set(STAGES) - set(trial.victims):
                    self.check_end(run.stages[name])


if __name__ == "__main__":
    unittest.main()
