"""The plan that `ftrun inspect --memory` prints holds: the process takes what it says, and --memory
refuses below it and nothing else."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from ftrun import BINARY, MODELS

MIB = 2 ** 20
GROUPS = pathlib.Path("/sys/fs/cgroup/memory")

# Batches so large that most of the memory is the model's.
CASES = [("mobilenetv2_train_op14.onnx", 256, "3x32x32"),
         ("resnet18_train_op14.onnx", 1024, "3x34x34"),
         ("squeezenet_train_op14.onnx", 512, "3x34x34")]


def planned(model, batch):
    out = subprocess.run([BINARY, "inspect", model, "--memory", "--json", "--batch-size", str(batch),
                          "--threads", "1"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out)["memory"]


def train(model, batch, shape, *more, **where):
    """The ended process of a run on one device, with checkpoints."""
    with tempfile.TemporaryDirectory() as scratch:
        return subprocess.run(
            [BINARY, model, "--data", f"synthetic:{shape}:2:4096", "--batch-size", str(batch),
             "--batches", "7", "--threads", "1", "--progress", "none", "--replicate-every", "2",
             "--global-every", "1", "--run-dir", str(pathlib.Path(scratch) / "run"),
             *map(str, more)], stderr=subprocess.PIPE, text=True, check=False, **where)


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
                self.assertLessEqual(peak, total)
                self.assertLess(total, 1.1 * peak)

    def test_the_parts_add_up(self):
        for name, batch, _ in CASES:
            memory = planned(str(MODELS / name), batch)
            parts = [memory[part] for part in memory
                     if part not in ("total_bytes", "kept_bytes", "column_bytes", "cut_bytes")]
            self.assertEqual(sum(parts), memory["total_bytes"])

    # Where the plan has room for the last byte it must hold with checkpoints, too.
    def test_memory_refuses_below_the_plan_and_nothing_else(self):
        for name, batch, shape in CASES[:2]:
            with self.subTest(model=name):
                model = str(MODELS / name)
                total = planned(model, batch)["total_bytes"]
                group = None
                if os.getuid() == 0 and (GROUPS / "memory.limit_in_bytes").exists():
                    group = GROUPS / f"ftrun-test-{os.getpid()}"
                    group.mkdir()
                    self.addCleanup(group.rmdir)
                    (group / "memory.limit_in_bytes").write_text(str(total))
                else:
                    print("no memory control groups here (root, v1): no limit that kills")
                enter = group and (lambda: (group / "tasks").write_text(str(os.getpid())))
                done = train(model, batch, shape, "--memory", total, preexec_fn=enter)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.doCleanups()
                refused = train(model, batch, shape, "--memory", total - MIB)
                self.assertEqual(refused.returncode, 2, refused.stderr)
                self.assertIn("takes", refused.stderr)

    def test_the_remedies_of_a_refusal_work(self):
        name, batch, shape = CASES[0]
        model = str(MODELS / name)
        memory = planned(model, batch // 4)["total_bytes"]
        refused = train(model, batch, shape, "--memory", memory)
        self.assertEqual(refused.returncode, 2)
        smaller = int(re.search(r"--batch-size (\d+) fits", refused.stderr)[1])
        self.assertGreaterEqual(smaller, batch // 4)
        self.assertEqual(train(model, smaller, shape, "--memory", memory).returncode, 0)
        self.assertEqual(train(model, smaller + 1, shape, "--memory", memory).returncode, 2)
        parts = re.search(r"--schedule sync --micro-batches (\d+) fits", refused.stderr)[1]
        self.assertEqual(train(model, batch, shape, "--memory", memory, "--schedule", "sync",
                               "--micro-batches", parts).returncode, 0)


if __name__ == "__main__":
    unittest.main()
