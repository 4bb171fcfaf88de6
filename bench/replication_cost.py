#!/usr/bin/python3
"""What cuts cost while nothing fails: pairs of runs with and without them, interleaved.

Usage: bench/replication_cost.py [--pairs 15] [--batches 300] [--every 50]
Central and two stages on loopback. A run's time is the wall clock over batches 20 to the last, by
the arrival of central's events. Prints the median of the pairs' ratios (with cuts / without) and
an interval that holds the true median in 95 % of cases, from order statistics: no assumption about
the distribution. Needs Debian's python3-torch and python3-torchvision (for the model) and a built
preset (--build build/release).
"""

import argparse
import math
import pathlib
import statistics
import tempfile

import bench_cluster

FIRST_BATCH = 20  # before it caches warm up and the pipeline fills
NO_CUTS = 1000000
STAGES = ("a", "b")


def median_interval(values, confidence=0.95):
    """The narrowest pair of order statistics around the median with that confidence, and what it
    is; the whole range if there are too few values for that."""
    ordered = sorted(values)
    count = len(ordered)
    best = None
    for skip in range((count + 1) // 2):
        outside = 2 * sum(math.comb(count, k) for k in range(skip + 1)) / 2 ** count
        if best is None or 1 - outside >= confidence:
            best = (ordered[skip], ordered[count - 1 - skip], 1 - outside)
    return best


def measure(options, directory, words, every):
    """Seconds over the counted batches, and the bytes of replicas sent."""
    run = bench_cluster.start(options, directory, [*words, "--replicate-every", every])
    try:
        central = run.begin(*STAGES)
        finished = central.finished()
        at = {event["batch"]: time_s for time_s, event in zip(central.times, central.events)
              if event["event"] == "batch"}
        if central.all("device_lost"):
            raise SystemExit("a device was lost: the machine is too busy to measure on")
        return at[options.batches - 1] - at[FIRST_BATCH], finished["bytes"]["replicas"]
    finally:
        run.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    bench_cluster.add_options(parser)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--every", type=int, default=50)
    options = parser.parse_args()
    if options.batches <= FIRST_BATCH + 1:
        parser.error(f"--batches must be more than {FIRST_BATCH + 1}")
    ratios, plain, replicas = [], [], 0
    with tempfile.TemporaryDirectory() as scratch:
        model = bench_cluster.export_model(options.model, scratch)
        words = [*bench_cluster.training_words(options, model), "--batches", options.batches]
        for pair in range(options.pairs):
            seconds = {}
            # The order alternates: a drift of the machine hits both sides alike.
            for every in sorted((options.every, NO_CUTS), reverse=pair % 2 == 1):
                directory = pathlib.Path(scratch) / f"pair-{pair}-{every}"
                seconds[every], sent = measure(options, directory, words, every)
                replicas = max(replicas, sent)
            ratios.append(seconds[options.every] / seconds[NO_CUTS])
            plain.append(seconds[NO_CUTS])
            print(f"  pair {pair + 1}: {seconds[options.every]:.3f} s with, "
                  f"{seconds[NO_CUTS]:.3f} s without: {ratios[-1]:.4f}", flush=True)
    low, high, confidence = median_interval(ratios)
    counted = options.batches - 1 - FIRST_BATCH
    print(f"{options.model}, {options.data}, batch {options.batch}, {options.schedule}, 3 devices, "
          f"{options.threads} thread(s) each, {options.pairs} pairs of {options.batches} batches")
    print(f"  without cuts {1000 * statistics.median(plain) / counted:.1f} ms a batch (median); "
          f"with cuts {replicas / 1e6:.1f} MB of replicas a run")
    print(f"  a cut every {options.every} batches takes {statistics.median(ratios):.4f} times as "
          f"long (median; {low:.4f} to {high:.4f}, {100 * confidence:.1f} % confidence)")


if __name__ == "__main__":
    main()
