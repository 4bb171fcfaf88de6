#!/usr/bin/python3
"""How long training stands still when one of three devices is lost, on loopback.

Usage: bench/recovery.py [--rounds 20] [--silent] [--failure-timeout 1s] [--replicate-every 10]
                         [--restart]
Each round starts central and two stages, and kills one of the stages (kill -9) in the middle of
training. With --silent the stage is stopped instead (SIGSTOP), the simplest failure without a
word: connections stay open, nothing answers; the figures then have the failure timeout in them,
and the stall is told beyond it as well.
With --restart each round is done again the way of a run without replicas: when the device is lost
everything is stopped, and the two that are left begin again at once from central's checkpoint (a
person would need longer, and with --silent would first have to notice). Both are told by the time
until training is where it was.
Times are of a clock outside: of the moments at which central's events arrive. Needs Debian's
python3-torch, python3-torchvision and python3-onnx (for the model) and a built preset
(--build build/release).
"""

import argparse
import pathlib
import random
import signal
import statistics
import tempfile
import time

import bench_cluster

PHASES = ("detect", "pause", "choose", "move", "resume")
STAGES = ("a", "b")


def seconds(text):
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))


def train_until_loss(run, options, draw):
    """Until a random moment of a random batch, after the first cuts. What a batch takes, and who is
    to be lost."""
    central = run.begin(*STAGES)
    central.until_batch(draw.randrange(2, 4) * options.replicate_every +
                        draw.randrange(options.replicate_every))
    before = [at for at, event in zip(central.times, central.events) if event["event"] == "batch"]
    batch_s = (before[-1] - before[5]) / (len(before) - 6)
    time.sleep(draw.uniform(0, batch_s))
    return batch_s, draw.choice(STAGES)


def newest_batch(central):
    return max(event["batch"] for event in central.all("batch"))


def until_new_batch(central, newest, struck):
    """The time from the loss to the first batch that had not been trained before."""
    central.until_batch(newest + 1)
    return next(at for at, event in zip(central.times, central.events)
                if event["event"] == "batch" and event["batch"] > newest) - struck


def measure_restart(run, options, draw):
    """One round without replicas: the time from the loss to the first new batch."""
    _, name = train_until_loss(run, options, draw)
    struck = time.monotonic()
    for each in run.processes:
        each.send(signal.SIGKILL)
    for each in run.processes:
        each.popen.wait()
    newest = newest_batch(run.central)
    central = run.start_central("--resume", "--workers", len(STAGES) - 1)
    run.start_stage(next(other for other in STAGES if other != name))
    return until_new_batch(central, newest, struck)


def measure(run, options, draw):
    """One round: the figures of one loss."""
    batch_s, name = train_until_loss(run, options, draw)
    central = run.central
    struck = time.monotonic()
    run.stages[name].send(signal.SIGSTOP if options.silent else signal.SIGKILL)
    lost = central.lost(name)
    reconfigured = central.reconfigured("failure")
    place = central.events.index(reconfigured)
    central.until("batch", since=place)
    events = list(zip(central.times, central.events))
    newest = max(event["batch"] for event in central.events[:place] if event["event"] == "batch")
    last_before = max(at for at, event in events[:place] if event["event"] == "batch")
    first_after = next(at for at, event in events[place:] if event["event"] == "batch")
    figures = {"detection": central.times[central.events.index(lost)] - struck,
               "stall": first_after - last_before, "batch": batch_s,
               "replayed": reconfigured["replayed"], "total": reconfigured["seconds"],
               "regained": until_new_batch(central, newest, struck)}
    figures.update(reconfigured["phases"])
    return figures


def tell(rounds, options):
    def line(text, values):
        print(f"  {text:38} {bench_cluster.spread(values)}")

    def all_of(key):
        return [each[key] for each in rounds]

    how = "stopped (SIGSTOP)" if options.silent else "killed (kill -9)"
    print(f"{options.model}, {options.data}, batch {options.batch}, {options.schedule}, 3 devices, "
          f"{options.threads} thread(s) each, a cut every {options.replicate_every} batches; "
          f"one {how}, {len(rounds)} rounds; median (least to greatest)")
    line("a batch before, s", all_of("batch"))
    line("detection, s", all_of("detection"))
    line("stall between batch events, s", all_of("stall"))
    if options.silent:
        timeout = seconds(options.failure_timeout)
        line("detection beyond the timeout, s", [value - timeout for value in all_of("detection")])
        line("stall beyond the timeout, s", [value - timeout for value in all_of("stall")])
    line("batches replayed", all_of("replayed"))
    line("until training is where it was, s", all_of("regained"))
    if options.restart:
        line("... with a restart of all instead, s", all_of("restarted"))
    for phase in PHASES:
        line(f"ftrun's own: {phase}, s", all_of(phase))
    line("ftrun's own: all phases, s", all_of("total"))
    ratios = [each["stall"] / each["batch"] for each in rounds]
    print(f"  the stall is {statistics.median(ratios):.1f} batches long "
          f"({min(ratios):.1f} to {max(ratios):.1f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    bench_cluster.add_options(parser)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("--replicate-every", type=int, default=10)
    parser.add_argument("--failure-timeout", default="1s")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as scratch:
        model = bench_cluster.export_model(options.model, scratch)
        words = [*bench_cluster.training_words(options, model), "--batches", 1000000,
                 "--replicate-every", options.replicate_every, "--failure-timeout",
                 options.failure_timeout]

        def one(measured, index, name):
            run = bench_cluster.start(options, pathlib.Path(scratch) / f"{name}-{index}", words)
            try:
                return measured(run, options, random.Random(options.seed + index))
            finally:
                run.close()

        for index in range(options.rounds):
            rounds.append(one(measure, index, "round"))
            if options.restart:
                rounds[-1]["restarted"] = one(measure_restart, index, "restart")
    tell(rounds, options)


if __name__ == "__main__":
    main()
