#!/usr/bin/python3
"""Training steps of ftrun's executor beside PyTorch's, interleaved in one run.

Usage: bench/against_pytorch.py [--model mobilenetv2] [--batch 64] [--threads 1] [--rounds 5]
Needs Debian's python3-torch and python3-torchvision and a built preset (--build build/release).
Prints each side's median over all rounds, the ratio of every round, and their median and spread.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON = "/usr/bin/python3"


def measure(*words, **environment):
    out = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True,
                         env={**os.environ, **environment})
    return json.loads(out.stdout.splitlines()[-1])["median_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mobilenetv2")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([PYTHON, ROOT / "tests/golden/export_models.py", "--bench", scratch],
                       check=True, stdout=subprocess.DEVNULL)
        model = next(pathlib.Path(scratch).glob(f"{options.model}_*.onnx"))
        sizes = (options.batch, options.threads, options.steps)
        sides = {
            "ftrun": lambda: measure(f"{options.build}/bench/training_step", model, *sizes),
            "pytorch default": lambda: measure(PYTHON, ROOT / "bench/pytorch_step.py",
                                               options.model, *sizes, "default"),
            "pytorch channels-last": lambda: measure(
                PYTHON, ROOT / "bench/pytorch_step.py", options.model, *sizes, "channels_last",
                ATEN_CPU_CAPABILITY="avx512"),
        }
        rounds = [{name: side() for name, side in sides.items()} for _ in range(options.rounds)]
    print(f"{options.model}, batch {options.batch}, {options.threads} thread(s), "
          f"{options.rounds} rounds of {options.steps} steps, interleaved")
    for name in sides:
        times = [each[name] for each in rounds]
        median = statistics.median(times)
        print(f"  {name:22} {median:8.1f} ms a step ({min(times):.1f} to {max(times):.1f}), "
              f"{1000 * options.batch / median:7.0f} images/s")
    for name in list(sides)[1:]:
        ratios = [each[name] / each["ftrun"] for each in rounds]
        print(f"  ftrun is {statistics.median(ratios):.2f} times {name} "
              f"({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
