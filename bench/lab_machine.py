"""The machine under the lab: one lab at a time, its scratch directory, and how much others use."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
import time

import lab_mark

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def alone():
    """Waits until no other lab runs here."""
    path = pathlib.Path(tempfile.gettempdir()) / "ftrunlab.lock"
    if not path.exists():
        path.touch()
    with open(path, encoding="ascii") as lock:  # reading is enough, whoever's file it is
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"lab: another experiment runs on this machine ({path}); waiting for its end",
                  flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def scratch():
    """A directory for one experiment; those that killed labs have left are removed, too."""
    for path in pathlib.Path(tempfile.gettempdir()).glob(f"{lab_mark.PREFIX}-*"):
        if lab_mark.is_stale(path.name):
            shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=lab_mark.own("")) as name:
        yield pathlib.Path(name)


def busy_seconds():
    """CPU of all processes but the lab, and what a hypervisor took, since boot."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq, steal, *_ = map(int, stat.readline().split()[1:])
    return (user + nice + system + irq + softirq + steal) * TICK_S - time.process_time()
