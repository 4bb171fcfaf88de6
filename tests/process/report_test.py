"""What ftrun says of a model on this machine: inspect, profile, plan."""

import json
import tempfile
import pathlib
import unittest

import ftrun

MODEL = ftrun.MODELS / "mobilenetv2_train_op14.onnx"


class Reports(ftrun.Case):
    def test_inspect_measures_when_asked(self):
        report = json.loads(self.run_ftrun("inspect", MODEL, "--json", "--batch-size", 8).out)
        self.assertNotIn("time_us", report["layers"][0])
        measured = json.loads(self.run_ftrun("inspect", MODEL, "--json", "--batch-size", 8,
                                             "--measure", "--threads", 1).out)
        for layer in measured["layers"]:
            self.assertGreater(layer["time_us"], 0)
            self.assertGreater(layer["state_bytes"], 0 if layer["parameters"] else -1)
        text = self.run_ftrun("inspect", MODEL, "--batch-size", 8, "--measure").out
        self.assertIn("time here", text)

    def test_profile_accounts_for_the_whole_step(self):
        profile = json.loads(self.run_ftrun(MODEL, "--profile", "--batch-size", 8, "--threads", 1,
                                            "--progress", "json").out)
        kernels = sum(row["forward_us"] + row["backward_us"] for row in profile["operators"])
        layers = sum(row["forward_us"] + row["backward_us"] for row in profile["layers"])
        self.assertAlmostEqual(kernels, layers, delta=1e-6 * kernels)
        whole = kernels + profile["optimizer_us"] + profile["rest_us"]
        self.assertAlmostEqual(whole, profile["step_us"], delta=0.01 * whole)
        self.assertGreater(profile["peak_gflops"], 0)
        names = [row["name"] for row in profile["operators"]]
        self.assertIn("Conv 1x1", names)
        self.assertIn("Conv 3x3 grouped", names)
        text = self.run_ftrun(MODEL, "--profile", "--batch-size", 8).out
        self.assertIn("optimizer step", text)

    def test_plan_names_the_devices(self):
        with tempfile.TemporaryDirectory() as scratch:
            devices = pathlib.Path(scratch) / "devices.toml"
            devices.write_text('[[device]]\nname = "big"\n[[device]]\nname = "small"\n'
                               'capacity = 0.1\n', encoding="utf-8")
            plan = json.loads(self.run_ftrun("plan", MODEL, "--devices", devices, "--json",
                                             "--batch-size", 8).out)
        self.assertEqual({device["name"] for device in plan["devices"]}, {"big", "small"})
        self.assertGreater(plan["images_per_second"], 0)


class DamagedRunDirectory(ftrun.Case):
    def test_resume_refuses_and_keeps_the_checkpoint(self):
        model = ftrun.MODELS / "lenet_train_op14.onnx"
        damages = {
            "journal.jsonl": lambda file: file.unlink(),
            "model.onnx": lambda file: file.write_bytes(file.read_bytes()[:-1] + b"x"),
        }
        for name, damage in damages.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as scratch:
                run = pathlib.Path(scratch) / "run"
                self.run_ftrun(model, "--data", "synthetic:1x28x28:10:512", "--batches", 4,
                               "--run-dir", run)
                damage(run / name)
                before = (run / "checkpoint.ftc").read_bytes()
                self.refused("--resume", "--run-dir", run, "--role", "solo", needs=[name])
                self.assertEqual((run / "checkpoint.ftc").read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
