#!/usr/bin/python3
"""Whether faults cost accuracy in `async`: pairs of runs of the same seed, undisturbed and with
stages that are killed and come back, interleaved.

Usage: bench/async_accuracy.py [--seeds 5] [--batches 600] [--faults 4] [--build build/release]
Central and two stages train the example network on Fashion-MNIST on loopback. A run's bits depend
on where it resumed (its record), so the two of a pair differ as two seeds do; what must not differ
is how good they are. Prints the test accuracy of each run, the mean of both kinds and of their
differences.
"""

import argparse
import pathlib
import random
import statistics
import tempfile

import bench_cluster
import ftrun

STAGES = ("a", "b")


def accuracy(options, directory, seed, faults):
    words = [ftrun.EXAMPLE, "--data", "fashion-mnist", "--batch-size", 64, "--batches",
             options.batches, "--seed", seed, "--lr", 0.05, "--momentum", 0.9, "--threads", 1,
             "--replicate-every", 20]
    run = bench_cluster.start(options, directory, words)
    draw = random.Random(seed)
    up = set(STAGES)
    try:
        central = run.begin(*STAGES)
        for fault in range(faults):
            central.until_batch(options.batches * (fault + 1) // (faults + 2))
            place = len(central.events)
            name = draw.choice(sorted(up))
            run.stages[name].kill()
            central.until("device_lost", since=place)
            up.remove(name)
            up.add(f"{name}{fault}")  # under its old name it would have to wait: it flaps
            run.start_stage(f"{name}{fault}")
            central.until("device_joined", since=place)
        finished = central.finished()
        replayed = sum(event["replayed"] for event in central.all("reconfigured"))
        return finished["accuracy"], replayed
    finally:
        run.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=600)
    parser.add_argument("--faults", type=int, default=4)
    parser.add_argument("--build", default=str(bench_cluster.ROOT / "build" / "release"))
    options = parser.parse_args()
    calm, struck = [], []
    with tempfile.TemporaryDirectory(prefix="ftrun-accuracy-") as directory:
        for seed in range(options.seeds):
            for faults, kind in ((0, calm), (options.faults, struck)):
                place = pathlib.Path(directory) / f"{seed}-{faults}"
                value, replayed = accuracy(options, place, seed, faults)
                kind.append(value)
                print(f"  seed {seed}, {faults} faults: accuracy {100 * value:.2f} %, "
                      f"{replayed} batches replayed", flush=True)
    differences = [100 * (b - a) for a, b in zip(calm, struck)]
    print(f"undisturbed {100 * statistics.mean(calm):.2f} % (standard deviation "
          f"{100 * statistics.stdev(calm):.2f}), with faults {100 * statistics.mean(struck):.2f} % "
          f"({100 * statistics.stdev(struck):.2f}); difference {statistics.mean(differences):+.2f} "
          f"(standard deviation {statistics.stdev(differences):.2f})")


if __name__ == "__main__":
    main()
