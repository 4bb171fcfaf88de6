#!/usr/bin/python3
"""How long training stands still when one of three devices is lost, on loopback.

Usage: bench/recovery.py [--rounds 20] [--silent] [--failure-timeout 1s] [--replicate-every 10]
Each round starts central and two stages, and kills one of the stages (kill -9) in the middle of
training. With --silent the stage is stopped instead (SIGSTOP), the simplest failure without a
word: connections stay open, nothing answers; the figures then have the failure timeout in them,
and the stall is told beyond it as well.
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


def measure(run, options, draw):
    """One round: the figures of one loss."""
    central = run.begin(*STAGES)
    # At a random moment of a random batch, after the first cuts.
    central.until_batch(draw.randrange(2, 4) * options.replicate_every +
                        draw.randrange(options.replicate_every))
    before = [at for at, event in zip(central.times, central.events) if event["event"] == "batch"]
    batch_s = (before[-1] - before[5]) / (len(before) - 6)
    time.sleep(draw.uniform(0, batch_s))
    name = draw.choice(STAGES)
    struck = time.monotonic()
    run.stages[name].send(signal.SIGSTOP if options.silent else signal.SIGKILL)
    lost = central.lost(name)
    reconfigured = central.reconfigured("failure")
    place = central.events.index(reconfigured)
    central.until("batch", since=place)
    events = list(zip(central.times, central.events))
    last_before = max(at for at, event in events[:place] if event["event"] == "batch")
    first_after = next(at for at, event in events[place:] if event["event"] == "batch")
    figures = {"detection": central.times[central.events.index(lost)] - struck,
               "stall": first_after - last_before, "batch": batch_s,
               "replayed": reconfigured["replayed"], "total": reconfigured["seconds"]}
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
        for index in range(options.rounds):
            run = bench_cluster.start(options, pathlib.Path(scratch) / f"round-{index}", words)
            try:
                rounds.append(measure(run, options, random.Random(options.seed + index)))
            finally:
                run.close()
    tell(rounds, options)


if __name__ == "__main__":
    main()
