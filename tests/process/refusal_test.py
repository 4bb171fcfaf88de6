"""Bad input ends with exit code 2 or 3 and a message that names thing, cause and remedy; it never
crashes or hangs, and central goes on waiting for proper stages."""

import json
import os
import signal
import socket
import struct
import time
import unittest

import ftrun

LENET = ftrun.MODELS / "lenet_train_op14.onnx"
GREY = ["--data", "synthetic:1x28x28:10:64"]
FEW = ["--batch-size", 8, "--batches", 3]


class Input(ftrun.Case):
    def write(self, name, data):
        path = self.directory / name
        path.write_bytes(data)
        return path

    def test_files_that_are_no_models(self):
        whole = LENET.read_bytes()
        for name, data in (("truncated", whole[: len(whole) // 2]), ("text", b"hello"),
                           ("empty", b""), ("random", os.urandom(5000))):
            path = self.write(f"{name}.onnx", data)
            self.refused(path, *GREY, needs=[path.name])
            self.refused("inspect", path, needs=[path.name])
        self.refused("missing.onnx", *GREY, needs=["missing.onnx"])

    def test_data_that_does_not_fit(self):
        self.refused(LENET, "--data", "synthetic:3x32x32:10", needs=["3x32x32", "1x28x28"])
        self.refused(LENET, "--data", "synthetic:1x28x28:12", needs=["12 classes", "10"])
        self.refused(LENET, "--data", "idx:/nowhere", needs=["/nowhere"])
        self.refused(LENET, "--data", "parquet:x", needs=["fashion-mnist"])
        self.refused(LENET, needs=["--data"])

    def test_labels_out_of_range(self):
        def npy(descr, shape, data):
            header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
            header += b" " * ((64 - (len(header) + 11) % 64) % 64) + b"\n"
            return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data

        x = self.write("x.npy", npy("|u1", (8, 1, 28, 28), bytes(8 * 784)))
        y = self.write("y.npy", npy("<i8", (8,), struct.pack("<8q", 0, 1, 2, 3, 4, 5, 6, 12)))
        self.refused(LENET, "--data", f"npy:{x},{y}", *FEW, needs=["12"])
        y = self.write("z.npy", npy("<i8", (8,), struct.pack("<8q", 0, 1, 2, 3, 4, 5, 6, -1)))
        self.refused(LENET, "--data", f"npy:{x},{y}", *FEW, needs=["-1"])

    def test_options(self):
        for words in (["--role", "chief"], ["--batch-size", 0], ["--lr", "nan"], ["--nonsense"],
                      ["--partition", "fixed:99"], ["--partition", "fixed:2,1"],
                      ["--schedule", "sync", "--micro-batches", 3], ["--wire", "fp16"],
                      ["--failure-timeout", "soon"]):
            self.refused(LENET, *GREY, *FEW, *words, needs=words[-2:])
        self.refused(LENET, *GREY, "--batch-size", 65, needs=["64 samples"])

    def test_an_export_that_cannot_be_written_is_refused_before_training(self):
        outcome = self.refused(LENET, *GREY, *FEW, "--export", "/nonexistent/out.onnx",
                               "--progress", "json", needs=["--export", "/nonexistent"])
        self.assertEqual(outcome.events, [])

    def test_a_run_directory_is_used_once(self):
        self.train(LENET, *GREY, *FEW)
        self.refused(LENET, *GREY, *FEW, "--run-dir", self.directory / "run-1",
                     needs=["run-1", "another directory"])


class Cluster(ftrun.Case):
    def central(self, *words):
        """Starts a central; returns the process and its endpoint."""
        process = self.start(LENET, *GREY, *FEW, "--role", "central", "--progress", "json",
                             "--listen", "tcp://127.0.0.1:*", "--run-dir", "central", *words)
        started = json.loads(process.stdout.readline())
        return process, started["central"]

    def stage(self, endpoint, *words):
        return self.start(*words, "--role", "stage", "--central", endpoint)

    def test_a_stage_needs_no_model_and_ends_well(self):
        central, endpoint = self.central("--workers", 2)
        stages = [self.stage(endpoint), self.stage(endpoint, LENET)]
        outcome = self.end(central)
        self.assertEqual(outcome.code, 0, outcome.err)
        for stage in stages:
            self.assertEqual(self.end(stage).code, 0)
        solo = self.train(LENET, *GREY, *FEW)
        self.assertEqual(outcome.finished()["batches"], solo.finished()["batches"])

    def test_a_stage_with_another_model_is_refused_and_central_waits_on(self):
        central, endpoint = self.central()
        other = self.end(self.stage(endpoint, ftrun.EXAMPLE))
        self.assertEqual(other.code, 3, other.err)
        self.assertIn("model", other.err)
        self.assertIsNone(central.poll())
        good = self.stage(endpoint, LENET)
        self.assertEqual(self.end(central).code, 0)
        self.assertEqual(self.end(good).code, 0)

    def test_garbage_on_the_port_is_ignored(self):
        central, endpoint = self.central()
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        for data in (os.urandom(100000), b"GET / HTTP/1.1\r\n\r\n", b"\xff" + bytes(63), b""):
            with socket.create_connection((host, int(port))) as connection:
                try:
                    connection.sendall(data)
                except OSError:
                    pass
        self.assertIsNone(central.poll())
        good = self.stage(endpoint)
        self.assertEqual(self.end(central).code, 0)
        self.assertEqual(self.end(good).code, 0)

    def test_a_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
            self.refused(LENET, *GREY, "--role", "central", "--listen", endpoint,
                         needs=[endpoint, "in use"])

    def test_other_addresses_need_insecure(self):
        self.refused(LENET, *GREY, "--role", "central", "--listen", "tcp://0.0.0.0:0",
                     needs=["--insecure"])
        self.refused("--role", "stage", "--central", "tcp://192.0.2.1:7117", needs=["--insecure"])

    def test_an_interrupt_writes_the_weights_first(self):
        run_dir = self.directory / "interrupted"
        process = self.start(LENET, *GREY, "--batch-size", 8, "--batches", 1000000, "--role",
                             "local", "--stages", 2, "--progress", "json", "--run-dir", run_dir)
        for line in process.stdout:
            if '"batch"' in line and json.loads(line).get("batch") == 5:
                break
        process.send_signal(signal.SIGINT)
        outcome = self.end(process)
        self.assertEqual(outcome.code, 130, outcome.err)
        self.assertTrue((run_dir / "checkpoint.ftc").exists())
        replayed = self.run_ftrun("replay", run_dir, "--json")
        self.assertEqual(replayed.events[0]["weights_sha256"], outcome.hash())

    def test_stages_die_with_a_killed_central(self):
        process = self.start(LENET, *GREY, "--batch-size", 8, "--batches", 1000000, "--role",
                             "local", "--stages", 3, "--progress", "json")
        while '"batch"' not in process.stdout.readline():
            pass
        mark = f"/proc/{process.pid}/task/{process.pid}/children"
        with open(mark, encoding="ascii") as children:
            pids = children.read().split()
        self.assertEqual(len(pids), 2)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while any(os.path.exists(f"/proc/{pid}/exe") for pid in pids):
            self.assertLess(time.monotonic(), deadline, "a stage outlived its central")
            time.sleep(0.01)


class Traffic(ftrun.Case):
    def test_boundary_tensors_plus_one_percent(self):
        model = ftrun.MODELS / "mobilenetv2_train_op14.onnx"
        batches = 6
        run = self.train(model, "--data", "synthetic:3x32x32:10:512", "--batch-size", 64,
                         "--batches", batches, "--role", "local", "--stages", 2)
        cut = run.all("reconfigured")[0]["ranges"][0]["last"]
        report = json.loads(self.run_ftrun("inspect", model, "--json", "--batch-size", 64).out)
        boundary = next(c for c in report["cuts"] if c["before_layer"] == cut)
        sent = run.finished()["bytes"]
        self.assertLessEqual(sent["activations"], 1.01 * batches * boundary["forward_bytes"])
        self.assertGreaterEqual(sent["activations"], batches * boundary["forward_bytes"])
        self.assertLessEqual(sent["gradients"], 1.01 * batches * boundary["gradient_bytes"])
        self.assertGreaterEqual(sent["gradients"], batches * boundary["gradient_bytes"])


if __name__ == "__main__":
    unittest.main()
