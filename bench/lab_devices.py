"""The emulated devices of one run: a process each, under its throttle and in its place of the
network, with what it has used so far."""

import glob
import os
import pathlib
import shlex
import shutil

import bench_cluster
import lab_network
import lab_throttle

TAIL_LINES = 8
EXIT_S = 5  # from closing its output to its end
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """A run went wrong: what was waited for, and what the processes said."""


def make_throttle(mode, directory, experiment, favoured):
    """Errors: Refusal."""
    if mode == "quota":
        return lab_throttle.Quotas(favoured)
    return lab_throttle.Slowdowns(directory, experiment.changes_speed)


def make_network(experiment):
    """Errors: Refusal."""
    if experiment.is_shaped:
        return lab_network.Namespaces(experiment)
    return lab_network.Loopback()


def thread_seconds(path):
    """User and system time in that stat file."""
    with open(path, encoding="ascii", errors="replace") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def cpu_seconds(pid):
    """(of all its threads, of the busiest one: that is compute); None once it is gone."""
    try:
        threads = [thread_seconds(path) for path in glob.glob(f"/proc/{pid}/task/*/stat")]
        return (thread_seconds(f"/proc/{pid}/stat"), max(threads, default=0.0))
    except OSError:
        return None


def memory_mib(pid):
    """The greatest resident size so far; None once it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


class Devices:
    """`bench` holds what all runs share: experiment, ftrun's path, model, throttle, network."""

    def __init__(self, bench, directory):
        self.bench = bench
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.processes = {}  # by device, the newest
        self.ended = []

    def start(self, name, speed, words):
        """A process of that device. A shell puts itself under the throttle and becomes ftrun: so
        no thread of ftrun has ever run outside."""
        enter, throttle_words = self.bench.throttle.enter(name, self.bench.experiment.duty * speed)
        # Devices end with the lab, however it ends.
        bound = "setpriv --pdeathsig KILL " if shutil.which("setpriv") else ""
        script = self.directory / f"{name}.sh"
        script.write_text(
            f"#!/bin/sh\n{enter}\nexec {bound}{self.bench.network.prefix(name)} "
            f"{shlex.quote(str(self.bench.binary))} \"$@\"\n", encoding="utf-8")
        script.chmod(0o700)
        if name in self.processes:
            self.ended.append(self.processes[name])
        started = bench_cluster.process.Process([*words, *throttle_words], self.directory,
                                                str(script))
        self.processes[name] = started
        return started

    def is_running(self, name):
        return name in self.processes and self.processes[name].popen.poll() is None

    def usage(self):
        """What `cpu_seconds` says of each running device."""
        used = {name: cpu_seconds(each.pid) for name, each in self.processes.items()
                if each.popen.poll() is None}
        return {name: seconds for name, seconds in used.items() if seconds is not None}

    def memory(self):
        peaks = {name: memory_mib(each.pid) for name, each in self.processes.items()
                 if each.popen.poll() is None}
        return {name: mib for name, mib in peaks.items() if mib is not None}

    def tails(self):
        """The last words of each device, for a failure's message."""
        lines = []
        for name, each in self.processes.items():
            code = each.popen.poll()
            state = "runs" if code is None else f"exit code {code}"
            lines.append(f"  {name} ({state}): {' '.join(each.words)}")
            lines += [f"    {line}" for line in each.messages[-TAIL_LINES:]]
        return "\n".join(lines)

    def wait(self, name, event, what, timeout_s, condition=lambda event: True):
        process = self.processes[name]
        try:
            return process.until(event, condition, timeout=timeout_s)
        except bench_cluster.process.Timeout as error:
            how = f"came within {timeout_s:g} s"
            if not process.open:
                process.end(EXIT_S)
                how = "came before it ended"
            raise Failure(f"{what}: no '{event}' event of {name} {how}\n{self.tails()}") from error

    def close(self):
        for each in (*self.processes.values(), *self.ended):
            each.close()
        self.bench.throttle.leave()
        shutil.rmtree(self.directory, ignore_errors=True)
