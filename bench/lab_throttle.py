"""What makes a device slow: a CPU quota of a control group, or ftrun's own --slowdown.

Both give a device a share of one core: `enter` names what its process needs for that, `set_share`
changes it at any time, `close` leaves nothing behind.
"""

import contextlib
import errno
import os
import pathlib
import signal
import time

import lab_mark
from lab_experiment import Refusal

# Shorter periods cost switches, longer ones make stages run in bursts. A quota of less than 1 ms is
# refused by the kernel: then the period grows.
PERIOD_US = 10_000
QUOTA_US_MIN = 1_000
EMPTY_S = 5.0  # for the processes of a group to be gone
REMEDY = "run as root on a machine with the cpu controller, or take --mode slowdown"


def quota_of(share):
    """(quota, period) in microseconds."""
    period = PERIOD_US
    if share * period < QUOTA_US_MIN:
        period = min(int(QUOTA_US_MIN / share) + 1, 1_000_000)
    return max(round(share * period), QUOTA_US_MIN), period


def cpu_root():
    """(version, directory) of the cpu controller."""
    mounts = [line.split() for line in
              pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    for _, where, kind, options, *_ in mounts:
        if kind == "cgroup" and "cpu" in options.split(","):
            return 1, own_group(pathlib.Path(where))
    for _, where, kind, *_ in mounts:
        if kind == "cgroup2":
            root = pathlib.Path(where)
            if "cpu" in (root / "cgroup.controllers").read_text(encoding="ascii").split():
                return 2, root
    raise Refusal(f"--mode quota: no cpu controller is mounted in /proc/mounts; {REMEDY}")


def own_group(root):
    """Where this process is: its limits hold for the devices, too."""
    for line in pathlib.Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(",") and (root / path.lstrip("/")).is_dir():
            return root / path.lstrip("/")
    return root


class Quotas:
    """A control group for each device. `favoured`: other work on the machine yields to them."""

    def __init__(self, favoured=False):
        self.groups = {}
        self.favoured = favoured
        if os.geteuid() != 0:
            raise Refusal(f"--mode quota: control groups need root; {REMEDY}")
        self.version, self.root = cpu_root()
        for group in self.root.iterdir():
            if group.is_dir() and lab_mark.is_stale(group.name):
                remove(group)
        try:
            if self.version == 2:
                self.write(self.root / "cgroup.subtree_control", "+cpu")
            self.enter("probe", 0.5)
        except OSError as error:
            raise Refusal(f"--mode quota: {self.root}: {error.strerror}; {REMEDY}") from error
        finally:
            self.leave()

    def text(self):
        return (f"CPU quotas (cgroup v{self.version}, period {PERIOD_US // 1000} ms)" +
                (", favoured over other work" if self.favoured else ""))

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def enter(self, name, share):
        """(line of shell before the program, words after it)."""
        group = self.root / lab_mark.own(name)
        self.groups[name] = group
        group.mkdir(exist_ok=True)
        self.set_share(name, share)
        if self.favoured:
            file, weight = (("cpu.shares", "10240"), ("cpu.weight", "1000"))[self.version - 1]
            self.write(group / file, weight)
        return f"echo $$ > '{group}/cgroup.procs' || exit 125", []

    def set_share(self, name, share):
        quota, period = quota_of(share)
        group = self.groups[name]
        if self.version == 2:
            self.write(group / "cpu.max", f"{quota} {period}")
            return
        self.write(group / "cpu.cfs_quota_us", "-1")  # so that no mix of old and new is refused
        self.write(group / "cpu.cfs_period_us", str(period))
        self.write(group / "cpu.cfs_quota_us", str(quota))

    def leave(self):
        """After the processes have ended."""
        for group in self.groups.values():
            remove(group)
        self.groups = {}


def remove(group):
    """Also ends what still runs in it: the mark says that a lab has started that."""
    deadline = time.monotonic() + EMPTY_S
    while group.is_dir():
        try:
            group.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                print(f"lab: {group} stays behind: {error.strerror}; remove it with rmdir")
                return
            for pid in (group / "cgroup.procs").read_text(encoding="ascii").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.02)


class Slowdowns:
    """--slowdown X: after each task the device sleeps X - 1 times its CPU time. With `files` X is
    in a file that the device reads again after each task."""

    def __init__(self, directory, files):
        self.directory = pathlib.Path(directory)
        self.files = files

    def text(self):
        return "--slowdown (each device sleeps after each task)"

    def path(self, name):
        return self.directory / f"slowdown-{name}"

    def enter(self, name, share):
        factor = f"{max(1.0, 1 / share):.6g}"
        if not self.files:
            return "", ["--slowdown", factor]
        self.set_share(name, share)
        return "", ["--slowdown", f"@{self.path(name)}"]

    def set_share(self, name, share):
        written = self.path(name).with_suffix(".new")
        written.write_text(f"{max(1.0, 1 / share):.6g}\n", encoding="ascii")
        written.rename(self.path(name))  # nobody reads half a number

    def leave(self):
        for path in self.directory.glob("slowdown-*"):
            path.unlink()
