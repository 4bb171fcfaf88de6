"""The exported model in a real inference engine gives our evaluation's logits and accuracy."""

import array
import gzip
import os
import pathlib
import subprocess
import unittest

import ftrun

FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")
SAMPLES = 1000
PARTS = 100  # samples a call


def read_npy(path):
    data = pathlib.Path(path).read_bytes()
    values = array.array("f")
    values.frombytes(data[10 + int.from_bytes(data[8:10], "little"):])
    return values


class Export(ftrun.Case):
    def logits_of_engine(self, model, samples):
        build = pathlib.Path(ftrun.BINARY).parent
        modules = subprocess.run([ftrun.ROOT / "script/onnxruntime", build / "onnxruntime"],
                                 check=True, capture_output=True, text=True).stdout.strip()
        logits = array.array("f")
        for first in range(0, SAMPLES, PARTS):
            part = samples[first * 784:(first + PARTS) * 784]
            (self.directory / "in.f32").write_bytes(part.tobytes())
            subprocess.run(
                ["node", pathlib.Path(__file__).with_name("onnxruntime.js"), model,
                 self.directory / "in.f32", self.directory / "out.f32", str(PARTS), "1", "28", "28"],
                check=True, env={**os.environ, "NODE_PATH": modules})
            logits.frombytes((self.directory / "out.f32").read_bytes())
        return logits

    def test_same_logits_and_accuracy(self):
        exported = self.directory / "exported.onnx"
        self.train(ftrun.EXAMPLE, "--data", "fashion-mnist", "--batches", 60, "--lr", 0.05,
                   "--role", "local", "--stages", 2, "--export", exported)
        own = self.run_ftrun("eval", exported, "--data", "fashion-mnist", "--json", "--logits",
                             "logits.npy")
        self.assertEqual(own.code, 0, own.err)
        ours = read_npy(self.directory / "logits.npy")

        with gzip.open(next(FASHION_MNIST.rglob("t10k-images*.gz"))) as images:
            pixels = images.read()[16:16 + SAMPLES * 784]
        with gzip.open(next(FASHION_MNIST.rglob("t10k-labels*.gz"))) as labels:
            labels = labels.read()[8:8 + SAMPLES]
        samples = array.array("f", ((p / 255 - 0.2860) / 0.3530 for p in pixels))
        theirs = self.logits_of_engine(exported, samples)

        self.assertEqual(len(theirs), SAMPLES * 10)
        worst = max(abs(a - b) for a, b in zip(theirs, ours))
        self.assertLess(worst, 1e-4)

        def correct(logits):
            rows = [logits[i * 10:i * 10 + 10].tolist() for i in range(SAMPLES)]
            return sum(row.index(max(row)) == label for row, label in zip(rows, labels))

        self.assertEqual(correct(theirs), correct(ours))
        self.assertGreater(correct(ours), SAMPLES // 2)


if __name__ == "__main__":
    unittest.main()
