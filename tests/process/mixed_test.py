"""A pipeline of this machine, a 64-bit and a 32-bit board, the boards under QEMU's user mode.

Needs build/aarch64 and build/armhf (script/build aarch64; script/build armhf). Where one is missing
the test fails, unless FTRUN_BOARDS=skip says that it is not wanted.
"""

import os
import unittest

import cluster
import ftrun

RUN = [ftrun.EXAMPLE, "--data", "synthetic:1x28x28:10:512", "--batch-size", 16, "--batches", 50,
       "--lr", "0.02", "--momentum", "0.9", "--replicate-every", 10, "--failure-timeout", "2s"]
PATIENCE_S = 600  # QEMU on a busy machine
BOARDS = {"pi-64": "aarch64", "pi-32": "armhf"}


def emulated(architecture):
    return str(ftrun.ROOT / "build" / architecture / "ftrun-emulated")


@unittest.skipIf(os.environ.get("FTRUN_BOARDS") == "skip", "FTRUN_BOARDS=skip")
class Mixed(cluster.Case):
    def setUp(self):
        super().setUp()
        for architecture in BOARDS.values():
            self.assertTrue(
                os.path.exists(emulated(architecture)),
                f"build/{architecture}: not built; run script/build {architecture}")

    def begin(self, run, binaries):
        central = run.start_central("--workers", len(BOARDS))
        for name in BOARDS:
            run.start_stage(name, binary=binaries[name])
            central.joined(name)  # in this order, which the pipeline keeps
        central.until("reconfigured")
        return central

    def losses_and_end(self, binaries):
        # Where the cuts are decides how old the weights are that a gradient is made with.
        with self.cluster(*RUN, "--partition", "fixed:3,6") as run:
            central = self.begin(run, binaries)
            end = central.until("finished", timeout=PATIENCE_S)
            self.assertEqual(end["batches"], 50)
            for name in BOARDS:
                self.check_end(run.stages[name])
            return [event["loss"] for event in central.all("batch")], end

    def test_the_same_losses_as_on_one_kind_of_machine_and_the_same_bits_again(self):
        here = {name: ftrun.BINARY for name in BOARDS}
        boards = {name: emulated(architecture) for name, architecture in BOARDS.items()}
        expected, end = self.losses_and_end(here)
        self.assertTrue(end["exact"])
        losses, first = self.losses_and_end(boards)
        self.assertFalse(first["exact"])
        self.assertEqual(len(losses), 50)
        for batch, (loss, wanted) in enumerate(zip(losses, expected)):
            self.assertLess(abs(loss - wanted), 1e-3 * wanted, f"batch {batch}")
        self.assertNotEqual(first["weights_sha256"], end["weights_sha256"])
        again, second = self.losses_and_end(boards)
        self.assertEqual(again, losses)
        self.assertEqual(second["weights_sha256"], first["weights_sha256"])

    def test_a_board_loses_power(self):
        boards = {name: emulated(architecture) for name, architecture in BOARDS.items()}
        with self.cluster(*RUN) as run:
            central = self.begin(run, boards)
            central.until_batch(23)
            run.stages["pi-32"].kill()
            central.lost("pi-32")
            end = central.until("finished", timeout=PATIENCE_S)
            self.assertEqual(end["batches"], 50)
            self.assertFalse(end["exact"])
            self.assertEqual(central.all("reconfigured")[-1]["reason"], "failure")
            self.check_batches(run, 50)
            self.check_end(run.stages["pi-64"])


if __name__ == "__main__":
    unittest.main()
