#!/usr/bin/python3
"""Training steps of ftrun's executor beside PyTorch's, and peak memory, interleaved in one run.

Usage: bench/compare_pytorch.py [--case mobilenetv2:64 ...] [--threads 1] [--rounds 5] [--steps 8]
                                [--together] [--build build/release]
Needs Debian's python3-torch, python3-torchvision, python3-onnx and a built preset. Without --case: all.
Prints for each case the medians over all rounds, and the ratio to PyTorch's better layout round by
round. Memory is the greatest resident set of `ftrun --role solo` and of PyTorch's process.
--together: also two processes of one thread at the same time, to compare two threads with.
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
# Model of tests/golden/export_models.py: the batch, the shape of one image, least ratio aimed at.
CASES = {
    "mobilenetv2:64": ("3x32x32", 2.0),
    "mobilenetv2:128": ("3x32x32", 1.8),
    "resnet18:64": ("3x32x32", 1.0),
    "squeezenet1_1:32": ("3x64x64", 1.5),
    "lenet:64": ("1x28x28", 2.0),
    "mobilenetv2_224:8": ("3x224x224", 1.8),
}


def start(*words, **environment):
    # Both sides' BLAS chooses for itself.
    inherited = {name: value for name, value in os.environ.items()
                 if not name.startswith("OPENBLAS_")}
    return subprocess.Popen([str(word) for word in words], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env={**inherited, **environment})


def finish(process):
    """(standard output, peak resident MiB)"""
    with process.stdout as out, process.stderr as err:
        text, errors = out.read(), err.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{process.args}: {errors.strip() or process.returncode}")
    return text, usage.ru_maxrss / 1024


def milliseconds(process):
    out, _ = finish(process)
    return json.loads(out.splitlines()[-1])["median_ms"]


class Case:
    def __init__(self, name, models, options):
        self.name = name
        self.model, self.batch = name.split(":")
        self.shape, self.aim = CASES[name]
        self.onnx = next(pathlib.Path(models).glob(f"{self.model}_train_*.onnx"))
        self.options = options

    def ftrun(self, threads):
        return start(f"{self.options.build}/bench/training_step", self.onnx, self.batch, threads,
                     self.options.steps)

    def pytorch(self, layout):
        # The strongest that was found.
        capability = {"ATEN_CPU_CAPABILITY": "avx512"} if layout == "channels_last" else {}
        return start(PYTHON, ROOT / "bench/pytorch_step.py", self.model, self.batch,
                     self.options.threads, self.options.steps, layout, **capability)

    def round(self):
        figures = {"ftrun": milliseconds(self.ftrun(self.options.threads))}
        for layout in ("default", "channels_last"):
            figures[layout] = milliseconds(self.pytorch(layout))
        if self.options.together:
            pair = [self.ftrun(1), self.ftrun(1)]
            figures["together"] = 1 / sum(1 / milliseconds(process) for process in pair)
        return figures

    def memory(self):
        with tempfile.TemporaryDirectory() as scratch:
            _, own = finish(start(
                f"{self.options.build}/ftrun", self.onnx, "--data", f"synthetic:{self.shape}:10:1024",
                "--batch-size", self.batch, "--batches", 6, "--threads", self.options.threads,
                "--run-dir", f"{scratch}/run", "--progress", "none"))
        _, theirs = finish(self.pytorch("default"))
        return own, theirs

    def report(self):
        rounds = [self.round() for _ in range(self.options.rounds)]
        median = {side: statistics.median(each[side] for each in rounds) for side in rounds[0]}
        print(f"{self.name}, {self.shape}, {self.options.threads} thread(s)")
        for side, label in {"ftrun": "ftrun", "default": "PyTorch", "channels_last":
                            "PyTorch channels-last", "together": "two of ftrun together"}.items():
            if side not in median:
                continue
            times = [each[side] for each in rounds]
            print(f"  {label:22} {median[side]:8.1f} ms a step ({min(times):.1f} to "
                  f"{max(times):.1f}), {1000 * int(self.batch) / median[side]:6.0f} images/s")
        better = min(("default", "channels_last"), key=median.get)
        ratios = [each[better] / each["ftrun"] for each in rounds]
        print(f"  {statistics.median(ratios):.2f} times PyTorch's better layout "
              f"({min(ratios):.2f} to {max(ratios):.2f}); aim {self.aim}")
        if self.options.together:
            ratios = [each["together"] / each["ftrun"] for each in rounds]
            print(f"  {statistics.median(ratios):.2f} of two processes of one thread "
                  f"({min(ratios):.2f} to {max(ratios):.2f})")
        own, theirs = self.memory()
        print(f"  peak memory {own:.0f} MiB, PyTorch {theirs:.0f} MiB: {own / theirs:.2f}",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as models:
        subprocess.run([PYTHON, ROOT / "tests/golden/export_models.py", "--bench", models],
                       check=True, stdout=subprocess.DEVNULL)
        print(f"{options.rounds} rounds of {options.steps} steps, interleaved; median (least to "
              f"greatest)")
        for name in options.case:
            Case(name, models, options).report()


if __name__ == "__main__":
    main()
