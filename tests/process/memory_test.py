"""The plan that `ftrun inspect --memory` prints holds: the process takes what it says."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from ftrun import BINARY, MODELS

# Batches so large that most of the memory is the model's.
CASES = [("mobilenetv2_train_op14.onnx", 256, "3x32x32"),
         ("resnet18_train_op14.onnx", 1024, "3x34x34"),
         ("squeezenet_train_op14.onnx", 512, "3x34x34")]


def planned(model, batch):
    out = subprocess.run([BINARY, "inspect", model, "--memory", "--json", "--batch-size", str(batch)],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out)["memory"]


def measured(model, batch, shape, *more):
    """Greatest resident bytes of a run on one device."""
    script = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)")
    with tempfile.TemporaryDirectory() as scratch:
        out = subprocess.run(
            ["python3", "-c", script, BINARY, model, "--data", f"synthetic:{shape}:2:4096",
             "--batch-size", str(batch), "--batches", "4", "--threads", "1", "--progress", "none",
             "--run-dir", str(pathlib.Path(scratch) / "run"), *more],
            check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(out.split()[-1])


class MemoryTest(unittest.TestCase):
    def test_the_peak_is_within_a_tenth_of_the_plan(self):
        for name, batch, shape in CASES:
            with self.subTest(model=name):
                model = str(MODELS / name)
                total = planned(model, batch)["total_bytes"]
                peak = measured(model, batch, shape)
                self.assertLess(abs(peak - total), total / 10, f"{peak} where {total} is planned")


if __name__ == "__main__":
    unittest.main()
