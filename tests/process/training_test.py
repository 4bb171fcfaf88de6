"""What is trained is what the user trains: the model's ending, what targets are taken for, samples
that are left out, and how training ends when numbers overflow."""

import json
import math
import unittest

import ftrun
import onnx_model
from onnx_model import floats, node

ROWS = 16
CLASSES = 3
SYNC = ["--schedule", "sync", "--micro-batches", 1, "--shuffle", "off", "--threads", 1]


def two_layers(*ending):
    """x [N, 4] -> 8 -> 3 -> what `ending` makes of z."""
    wave = [math.sin(3 * i) for i in range(100)]
    nodes = [node("Gemm", ["x", "w", "b"], ["h"], transB=1), node("Relu", ["h"], ["r"]),
             node("Gemm", ["r", "v", "c"], ["z"], transB=1), *ending]
    weights = [floats("w", (8, 4), wave[:32]), floats("b", (8,), wave[32:40]),
               floats("v", (CLASSES, 8), wave[40:64]), floats("c", (CLASSES,), wave[64:67])]
    return onnx_model.model(nodes, weights, (4,), (CLASSES,))


class Training(ftrun.Case):
    def write(self, name, data):
        path = self.directory / name
        path.write_bytes(data)
        return path

    def setUp(self):
        super().setUp()
        self.labels = [(i * i + i // 3) % CLASSES for i in range(ROWS)]
        self.samples = [math.cos(7 * i) for i in range(ROWS * 4)]
        x = self.write("x.npy", onnx_model.npy("<f4", (ROWS, 4), self.samples))
        y = self.write("y.npy", onnx_model.npy("<i8", (ROWS,), self.labels))
        self.data = ["--data", f"npy:{x},{y}"]
        self.plain = self.write("plain.onnx", two_layers(node("Identity", ["z"], ["y"])))

    def losses(self, outcome):
        return [event["loss"] for event in outcome.all("batch")]

    def notes(self, outcome):
        """But for the first, which says what trains."""
        return outcome.all("started")[0]["notes"][1:]

    def test_softmax_at_the_end_is_left_to_the_loss(self):
        few = [*self.data, *SYNC, "--batch-size", 4, "--epochs", 3]
        plain = self.train(self.plain, *few)
        self.assertEqual(self.notes(plain), [])
        for op in ("Softmax", "LogSoftmax"):
            path = self.write(f"{op}.onnx", two_layers(node(op, ["z"], ["y"], axis=1)))
            alone = self.train(path, *few, "--export", f"{op}_out.onnx")
            self.assertEqual(self.losses(alone), self.losses(plain))
            self.assertEqual(alone.hash(), plain.hash())
            self.assertEqual(len(self.notes(alone)), 1)
            self.assertIn(op, self.notes(alone)[0])
            # Stages import the file themselves.
            local = self.train(path, *few, "--role", "local", "--stages", 2)
            self.assertEqual(local.hash(), alone.hash())
            # Whatever reads the run directory reads the model in the same way.
            replayed = self.run_ftrun("replay", alone.run_dir, "--json")
            self.assertEqual(replayed.code, 0, replayed.err)
            self.assertEqual(json.loads(replayed.out)["weights_sha256"], alone.hash())
            exported = self.run_ftrun("export", alone.run_dir, "-o", "again.onnx")
            self.assertEqual(exported.code, 0, exported.err)
            written = (self.directory / f"{op}_out.onnx").read_bytes()
            self.assertEqual(written, (self.directory / "again.onnx").read_bytes())
            self.assertIn(op.encode(), written)
            evaluated = self.run_ftrun("eval", f"{op}_out.onnx", *self.data, "--json")
            self.assertIn(op, evaluated.all("evaluated")[0]["notes"][0])
        # With mse the model's own output counts.
        targets = self.write("t.npy", onnx_model.npy("<f4", (ROWS, CLASSES), [2.0] * ROWS * CLASSES))
        outcome = self.train(self.directory / "Softmax.onnx", "--data",
                             f"npy:{self.directory / 'x.npy'},{targets}", *SYNC, "--loss", "mse",
                             "--batch-size", 4, "--batches", 1, "--lr", 0)
        self.assertEqual(self.notes(outcome), [])
        self.assertGreater(self.losses(outcome)[0], 1)  # probabilities are below 1

    def test_sigmoid_under_cross_entropy_is_refused_and_its_remedy_works(self):
        path = self.write("sigmoid.onnx", two_layers(node("Sigmoid", ["z"], ["y"])))
        self.refused(path, *self.data, "--batch-size", 4, needs=["Sigmoid", "--loss mse"])
        rows = [1.0 if label == i else 0.0 for label in self.labels for i in range(CLASSES)]
        targets = self.write("t.npy", onnx_model.npy("<f4", (ROWS, CLASSES), rows))
        self.train(path, "--data", f"npy:{self.directory / 'x.npy'},{targets}", "--batch-size", 4,
                   "--loss", "mse", "--epochs", 1)

    def test_labels_in_other_forms_train_the_same(self):
        few = [*SYNC, "--batch-size", 4, "--epochs", 2]
        expected = self.train(self.plain, *self.data, *few).hash()
        rows = [1 if label == i else 0 for label in self.labels for i in range(CLASSES)]
        forms = (("<f4", (ROWS,), self.labels), ("<f8", (ROWS, 1), self.labels),
                 ("<i8", (ROWS, CLASSES), rows), ("<f4", (ROWS, CLASSES), rows),
                 ("|b1", (ROWS, CLASSES), rows))
        for descr, shape, values in forms:
            with self.subTest(descr=descr, shape=shape):
                y = self.write("form.npy", onnx_model.npy(descr, shape, values))
                data = ["--data", f"npy:{self.directory / 'x.npy'},{y}"]
                outcome = self.train(self.plain, *data, *few)
                self.assertEqual(outcome.hash(), expected)
                self.assertEqual(len(self.notes(outcome)), 1)
                self.assertIn("form.npy", self.notes(outcome)[0])

    def test_samples_that_are_left_out_are_said(self):
        outcome = self.train(self.plain, *self.data, "--batch-size", 6, "--epochs", 1)
        self.assertIn("16 samples: 2 batches of 6; 4 are left out each epoch, others each time",
                      self.notes(outcome)[0])
        self.refused(self.plain, *self.data, "--batch-size", 17,
                     needs=["16 samples", "--batch-size 16"])
        self.train(self.plain, *self.data, "--batch-size", 16, "--epochs", 1)

    def test_a_last_step_that_overflows_ends_with_1_and_no_export(self):
        big = [1e3 * value for value in self.samples]
        x = self.write("big.npy", onnx_model.npy("<f4", (ROWS, 4), big))
        data = ["--data", f"npy:{x},{self.directory / 'y.npy'}", "--batch-size", 4]
        for words in (["--role", "solo"], ["--role", "solo", "--momentum", 0.9],
                      ["--role", "local", "--stages", 2]):
            with self.subTest(words=words):
                outcome = self.train(self.plain, *data, *SYNC, "--batches", 1, "--lr", "1e37",
                                     "--export", "out.onnx", *words, code=1)
                self.assertIn("after batch 1 the weights are not finite", outcome.err)
                self.assertIn("smaller --lr", outcome.err)
                self.assertEqual(outcome.all("finished"), [])
                self.assertFalse((self.directory / "out.onnx").exists())
                self.assertFalse((outcome.run_dir / "checkpoint.ftc").exists())

    def test_a_cut_that_is_not_finite_keeps_the_checkpoint_before(self):
        # Row 8 is so large that its gradients overflow, while its loss is finite; its batch is the
        # last one.
        samples = [1e20 if i == 32 else value for i, value in enumerate(self.samples)]
        x = self.write("odd.npy", onnx_model.npy("<f4", (ROWS, 4), samples))
        y = self.write("t.npy", onnx_model.npy("<f4", (ROWS, CLASSES), [0.5] * ROWS * CLASSES))
        words = ["--data", f"npy:{x},{y}", "--batch-size", 2, *SYNC, "--loss", "mse",
                 "--lr", 0.01, "--replicate-every", 1, "--global-every", 1]
        outcome = self.train(self.plain, *words, "--batches", 5, code=1)
        self.assertEqual(len(self.losses(outcome)), 5)
        self.assertEqual(outcome.all("finished"), [])
        self.assertIn("not finite", outcome.err)
        self.assertIn("the last checkpoint is kept", outcome.err)
        exported = self.run_ftrun("export", outcome.run_dir, "-o", "kept.onnx")
        self.assertEqual(exported.code, 0, exported.err)
        self.assertRegex(exported.out, "after [1-4] batches")

    def test_a_loss_that_grows_beyond_use_is_said_once_over_a_resume(self):
        words = [*self.data, *SYNC, "--batch-size", 16, "--replicate-every", 4, "--global-every", 1]
        outcome = self.train(self.plain, *words, "--batches", 40, "--lr", 300)
        warnings = outcome.all("warning")
        self.assertEqual(len(warnings), 1, self.losses(outcome))
        self.assertIn("-fold since batch", warnings[0]["text"])
        self.assertIn("`--lr 300` is probably too high", warnings[0]["text"])
        # Without its checkpoint the run trains all batches again.
        (outcome.run_dir / "checkpoint.ftc").unlink()
        again = self.run_ftrun("--resume", "--run-dir", outcome.run_dir, "--progress", "json")
        self.assertEqual(again.code, 0, again.err)
        self.assertEqual(len(again.all("batch")), 40)
        self.assertEqual(again.all("warning"), [])
        lower = self.train(self.plain, *words, "--batches", 40, "--lr", 0.05)
        self.assertEqual(lower.all("warning"), [])


if __name__ == "__main__":
    unittest.main()
