#!/usr/bin/python3
"""Trains for a long time under faults, and looks for leaks and for wrong bits.

Usage: bench/soak.py [--minutes 30] [--every 10] [--seed 0]
Central and three stages on loopback, `sync`. Every so many seconds on average a stage is killed and
started again, stopped and continued, or asked to leave and started again. Central's memory (VmRSS)
and open files are sampled every second. In the end one device alone trains the same batches: the
hashes must be equal. Prints counts, and the growth of memory and of open files between the means of
the second and of the last quarter of the samples. Exit code 1 if the hash differs, if central ends
badly or stands still, or if a stage ends otherwise than asked.
"""

import argparse
import collections
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import bench_cluster

STAGES = ("a", "b", "c")
FAULTS = ("kill", "stop", "leave")
RATE_BATCHES = 400  # to measure the speed with
FAULTY_SHARE = 0.7  # of the undisturbed speed: a guess, so that the run lasts about as asked
TURN_S = 0.05
SAMPLE_S = 1.0
LEAVE_S = 60.0  # to hand over within
ENDING_S = 10.0  # from a stage's end to central's
STILL_S = 120.0  # without an event of central's


def memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Soak:
    """The faults of one run. A stage is up, or `away`: name -> (fault, when to act)."""

    def __init__(self, run, draw, every_s):
        self.run = run
        self.draw = draw
        self.every_s = every_s
        self.away = {}
        self.next_fault_s = time.monotonic() + draw.expovariate(1 / every_s)
        self.next_sample_s = 0
        self.faults = collections.Counter()
        self.problems = []
        self.samples = []  # (KiB, open files)

    def strike(self, now):
        self.next_fault_s += self.draw.expovariate(1 / self.every_s)
        name = self.draw.choice(STAGES)
        fault = self.draw.choice(FAULTS)
        away_s = self.draw.uniform(0.2, 4)
        if name in self.away:
            return
        stage = self.run.stages[name]
        if fault == "kill":
            stage.kill()
        else:
            stage.send(signal.SIGSTOP if fault == "stop" else signal.SIGTERM)
        self.faults[fault] += 1
        self.away[name] = (fault, now + (LEAVE_S if fault == "leave" else away_s))

    def bring_back(self, now):
        for name, (fault, due_s) in list(self.away.items()):
            stage = self.run.stages[name]
            left = fault == "leave" and stage.popen.poll() is not None
            if not left and now < due_s:
                continue
            del self.away[name]
            if fault == "stop":
                stage.send(signal.SIGCONT)
                continue
            if fault == "leave" and stage.popen.poll() != 0:
                self.problems.append(f"stage {name}: asked to leave, exit code "
                                     f"{stage.popen.poll()}; {stage.message()}")
                stage.kill()
            self.renew(name)

    def renew(self, name):
        self.run.processes.remove(self.run.stages[name])
        self.run.stages[name].close()
        self.run.start_stage(name)

    def is_ending(self):
        """Stages end a little earlier than central."""
        try:
            return self.run.central.popen.wait(ENDING_S) == 0
        except subprocess.TimeoutExpired:
            return False

    def look_at_stages(self):
        for name, stage in self.run.stages.items():
            if name in self.away or stage.popen.poll() is None:
                continue
            if stage.popen.poll() == 0 and self.is_ending():
                return
            self.problems.append(f"stage {name}: ended by itself with exit code "
                                 f"{stage.popen.poll()}; {stage.message()}")
            self.renew(name)

    def sample(self, now):
        self.next_sample_s = now + SAMPLE_S
        try:
            self.samples.append((memory_kib(self.run.central.pid),
                                 open_files(self.run.central.pid)))
        except (OSError, StopIteration):
            return  # central has just ended
        if now - self.run.central.times[-1] > STILL_S:
            self.problems.append(f"central has told nothing for {STILL_S:.0f} s")
            self.run.central.kill()

    def watch(self):
        """Until central has finished."""
        central = self.run.central
        while central.popen.poll() is None and not central.all("finished", -1):
            now = time.monotonic()
            if now >= self.next_fault_s:
                self.strike(now)
            self.bring_back(now)
            if now >= self.next_sample_s:
                self.sample(now)
                self.look_at_stages()
            time.sleep(TURN_S)
        code = central.end()
        if code != 0:
            self.problems.append(f"central: exit code {code}; {central.message()}")


def growth(values):
    """Mean of the last quarter against that of the second, in percent."""
    quarter = len(values) // 4
    if quarter == 0:
        return float("nan")
    return 100 * (statistics.mean(values[-quarter:]) /
                  statistics.mean(values[quarter:2 * quarter]) - 1)


def undisturbed_rate(options, scratch, words):
    run = bench_cluster.start(options, scratch / "rate", [*words, "--batches", RATE_BATCHES])
    try:
        central = run.begin(*STAGES)
        central.finished()
        times = [at for at, event in zip(central.times, central.events)
                 if event["event"] == "batch"]
        return (len(times) - 1) / (times[-1] - times[0])
    finally:
        run.close()


def tell(soak, seconds):
    central = soak.run.central
    reasons = collections.Counter(event["reason"] for event in central.all("reconfigured"))
    print(f"  {seconds / 60:.1f} minutes; {sum(soak.faults.values())} faults {dict(soak.faults)}")
    print(f"  {sum(reasons.values())} reconfigurations {dict(reasons)}, "
          f"{len(central.all('device_lost'))} losses, {len(central.all('device_joined'))} joins, "
          f"{sum('replayed' in event for event in central.all('batch'))} batches replayed")
    for text, values in (("memory, MiB", [memory / 1024 for memory, _ in soak.samples]),
                         ("open files", [files for _, files in soak.samples])):
        print(f"  central's {text}: median {statistics.median(values):.1f}, greatest "
              f"{max(values):.1f}; growth from the second to the last quarter "
              f"{growth(values):+.2f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    bench_cluster.add_options(parser)
    parser.set_defaults(model="", data="fashion-mnist", batch=16, schedule="sync")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=10, help="seconds between faults")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        model = bench_cluster.ROOT / "examples" / "residual_cnn.onnx"
        if options.model:
            model = bench_cluster.export_model(options.model, scratch)
        words = [*bench_cluster.training_words(options, model), "--replicate-every", 20]
        rate = undisturbed_rate(options, scratch, words)
        batches = max(RATE_BATCHES, round(rate * options.minutes * 60 * FAULTY_SHARE))
        print(f"{model.stem}, {options.data}, {options.schedule}, central and {len(STAGES)} "
              f"stages, {batches} batches of {options.batch}; undisturbed {rate:.1f} batches/s; "
              f"seed {options.seed}", flush=True)
        run = bench_cluster.start(options, scratch / "soak", [*words, "--batches", batches])
        try:
            began = time.monotonic()
            run.begin(*STAGES)
            soak = Soak(run, random.Random(options.seed), options.every)
            soak.watch()
            tell(soak, time.monotonic() - began)
            finished = run.central.all("finished")
            solo = run.start(*run.words, "--run-dir", "solo", "--progress", "json")
            expected = solo.until("finished", timeout=None)["weights_sha256"]
        finally:
            run.close()
    if not finished or finished[-1]["weights_sha256"] != expected:
        soak.problems.append(f"the hash is not solo's {expected}: {finished}")
    else:
        print(f"  hash equal to solo's: {expected}")
    for problem in soak.problems:
        print(f"  PROBLEM {problem}")
    sys.exit(1 if soak.problems else 0)


if __name__ == "__main__":
    main()
