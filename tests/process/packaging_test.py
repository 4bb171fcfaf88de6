"""What is packed around the binary: manual and completion beside --help, the bundle, the service's
protocol, and the start with a board's BLAS core."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import unittest

import ftrun

COMMANDS = ["", "inspect", "plan", "eval", "export", "replay", "keygen", "doctor"]
PACKAGING = ftrun.ROOT / "packaging"
BUILD = pathlib.Path(ftrun.BINARY).resolve().parent


def options_of_help():
    options = set()
    for command in COMMANDS:
        words = [ftrun.BINARY, *command.split(), "--help"]
        text = subprocess.run(words, text=True, capture_output=True, check=True).stdout
        options |= set(re.findall(r"^  (?:-\w,)?(--[a-z0-9-]+)", text, re.MULTILINE))
    return options


def variables_of(pid):
    items = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(item.decode().split("=", 1) for item in items if b"=" in item)


class PackagingTest(ftrun.Case):
    def test_manual_and_completion_name_the_options_of_help(self):
        help_options = options_of_help()
        self.assertIn("--data", help_options)
        manual = (PACKAGING / "ftrun.1").read_text().replace("\\-", "-")
        entries = set()
        for entry in re.findall(r"^\.TP\n\.B (.*)$", manual, re.MULTILINE):
            entries |= set(re.findall(r"--[a-z0-9-]+", entry))
        self.assertEqual(entries, help_options)
        completion = (PACKAGING / "completion.bash").read_text()
        words = re.search(r"'(--help [^']*)'", completion).group(1)
        self.assertEqual(set(words.split()), help_options)
        names = re.search(r"'(raspberry[^']*)'", completion).group(1)
        profiles = {path.stem for path in (ftrun.ROOT / "boards").glob("*.toml")}
        self.assertEqual(set(names.split()), profiles | {"none"})

    def start_stage(self, *words, binary=ftrun.BINARY, **variables):
        """A stage that finds no central, and what it has said first."""
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("OPENBLAS_CORETYPE", "FTRUN_BLAS_CORE", "FTRUN_LAUNCHER")}
        environment.update(variables)
        stage = subprocess.Popen(
            [binary, "--role", "stage", "--central", "tcp://127.0.0.1:1", *words], text=True,
            cwd=self.directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.stop, stage)
        said = []
        while not said or "looking for central" not in said[-1]:
            line = stage.stderr.readline()
            self.assertNotEqual(line, "", said)
            said.append(line)
        return stage, "".join(said)

    def test_a_board_sets_the_blas_core_by_one_restart(self):
        stage, said = self.start_stage("--board", "raspberry-pi-4")
        self.assertEqual(variables_of(stage.pid)["OPENBLAS_CORETYPE"], "CORTEXA72")
        self.assertIn("board: Raspberry Pi 4 (--board): ", said)
        self.assertIn("BLAS core CORTEXA72", said)
        self.assertNotIn("(OPENBLAS_CORETYPE)", said)

    def test_a_core_type_of_the_users_stays(self):
        stage, said = self.start_stage(
            "--board", "raspberry-pi-4", OPENBLAS_CORETYPE="HASWELL")
        self.assertEqual(variables_of(stage.pid)["OPENBLAS_CORETYPE"], "HASWELL")
        self.assertIn("BLAS core HASWELL (OPENBLAS_CORETYPE)", said)

    def test_no_board_says_nothing(self):
        stage, said = self.start_stage("--board", "none")
        self.assertNotIn("board:", said)
        self.assertNotIn("OPENBLAS_CORETYPE", variables_of(stage.pid))

    def test_a_cpu_that_openblas_does_not_know_gets_its_kernels(self):
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("OPENBLAS_CORETYPE", "FTRUN_BLAS_CORE")}
        told = subprocess.run([ftrun.BINARY, "doctor"], env=environment, check=True, text=True,
                              capture_output=True).stdout
        numerics = re.search("^numerics +(.*)$", told, re.MULTILINE).group(1)
        if "avx" in numerics:
            self.assertNotIn("Prescott", numerics)

    def test_an_unknown_board_is_refused_with_the_names(self):
        self.refused("doctor", "--board", "pi4", needs=["pi4", "raspberry-pi-4", "none"])

    def test_a_stage_tells_its_service_manager(self):
        path = str(self.directory / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(20)
            stage, _ = self.start_stage(NOTIFY_SOCKET=path, WATCHDOG_USEC="200000")
            self.assertIn("READY=1", manager.recv(4096).decode())
            for _ in range(3):
                self.assertEqual(manager.recv(4096), b"WATCHDOG=1")
            stage.terminate()
            while manager.recv(4096) != b"STOPPING=1":
                pass
            self.assertEqual(stage.wait(20), 130)  # it was no member of a run

    @unittest.skipIf(shutil.which("readelf") is None, "needs binutils")
    def test_the_bundle_needs_nothing_of_the_system(self):
        preset = BUILD.name
        if preset in ("asan", "tsan"):
            self.skipTest("sanitizers do not run from a bundle")
        subprocess.run([ftrun.ROOT / "script/bundle", preset], check=True, capture_output=True)
        [archive] = BUILD.glob("ftrun-*.tar.xz")
        self.assertLess(archive.stat().st_size, 25e6)
        subprocess.run(["tar", "xf", archive, "-C", self.directory], check=True)
        [place] = self.directory.glob("ftrun-*")
        stage, _ = self.start_stage(
            "--board", "raspberry-pi-4", binary=place / "ftrun")
        self.assertEqual(variables_of(stage.pid)["OPENBLAS_CORETYPE"], "CORTEXA72")
        mapped = {line.split()[-1] for line in
                  pathlib.Path(f"/proc/{stage.pid}/maps").read_text().splitlines()
                  if ".so" in line}
        self.assertTrue(all(path.startswith(str(place)) for path in mapped), mapped)
        # On another kind of machine it says so.
        fake = self.directory / "uname"
        fake.write_text("#!/bin/sh\necho mips64\n")
        fake.chmod(0o755)
        foreign = subprocess.run([place / "ftrun", "--version"], text=True, capture_output=True,
                                 env={"PATH": f"{self.directory}:/usr/bin:/bin"}, check=False)
        self.assertEqual(foreign.returncode, 2)
        self.assertIn("this machine is mips64", foreign.stderr)
        # Stages of --role local are started through the wrapper, too.
        local = subprocess.run(
            [place / "ftrun", ftrun.EXAMPLE, "--data", "synthetic:1x28x28:10:256", "--role",
             "local", "--stages", "2", "--batches", "2", "--run-dir", self.directory / "run"],
            env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=120,
            check=False)
        self.assertEqual(local.returncode, 0, local.stderr)


if __name__ == "__main__":
    unittest.main()
