"""The network between the devices: loopback, or a namespace for each device and shaped wires.

Shaped: every device has its access link to one switch, and a [[link]] is a wire of its own between
two devices, which their traffic takes instead. Everything is inside namespaces (the switch has its
own), so nothing of it can meet the machine's own network, and deleting them deletes all of it.
A rate is a token bucket (tbf) at both ends of a wire: each direction has that rate.
"""

import itertools
import os
import shutil
import subprocess

import bench_cluster
import lab_mark
from lab_experiment import Refusal

SUBNET = "10.77.0"
CENTRAL_PORT = 7117
BURST_BYTES_MIN = 16 * 1024
BURST_S = 0.005
QUEUE_S = 0.1  # what waits at a slow wire before packets are dropped
COMMAND_S = 20
REMEDY = "leave rate and latency out of the experiment"


class Loopback:
    """All devices on 127.0.0.1."""

    def __init__(self):
        self.port = bench_cluster.cluster.free_port()

    def text(self):
        return "loopback"

    def prefix(self, _):
        return ""

    def listen_words(self, _, central):
        return ["--listen", self.central_endpoint("")] if central else []

    def central_endpoint(self, _):
        return f"tcp://127.0.0.1:{self.port}"

    def close(self):
        pass


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          timeout=COMMAND_S, check=False)
    if done.returncode:
        message = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Refusal(f"links: {' '.join(map(str, words))}: {message[-1]}; {REMEDY}")
    return done.stdout


class Namespaces:
    """Errors: Refusal, with nothing left behind."""

    def __init__(self, experiment):
        self.names = []
        self.wires = itertools.count()
        self.addresses = {name: f"{SUBNET}.{index + 1}"
                          for index, name in enumerate(experiment.devices)}
        if os.geteuid() != 0:
            raise Refusal(f"links: rates need network namespaces, and those need root; {REMEDY}")
        for program in ("ip", "tc", "nsenter"):
            if not shutil.which(program):
                raise Refusal(f"links: {program} is missing (apt install iproute2 util-linux); "
                              f"{REMEDY}")
        for line in command("ip", "netns", "list").splitlines():
            if line.split() and lab_mark.is_stale(line.split()[0]):
                command("ip", "netns", "del", line.split()[0])
        try:
            self.build(experiment)
        except BaseException:
            self.close()
            raise

    def text(self):
        return "network namespaces, rates by tc tbf"

    def build(self, experiment):
        self.hub = self.add("hub")
        command("ip", "-n", self.hub, "link", "add", "switch", "type", "bridge")
        command("ip", "-n", self.hub, "link", "set", "switch", "up")
        for name, device in experiment.devices.items():
            self.add(name)
            port = f"w{next(self.wires)}"
            self.wire((self.hub, port), (self.namespace(name), "access"), device)
            command("ip", "-n", self.hub, "link", "set", port, "master", "switch")
            command("ip", "-n", self.namespace(name), "address", "add",
                    f"{self.addresses[name]}/24", "dev", "access")
        for link in experiment.links:
            ends = [(self.namespace(name), f"w{next(self.wires)}") for name in link.between]
            self.wire(*ends, link)
            for (namespace, port), other in zip(ends, reversed(link.between)):
                command("ip", "-n", namespace, "route", "add", f"{self.addresses[other]}/32",
                        "dev", port, "src", self.addresses[self.other(link, other)])

    @staticmethod
    def other(link, name):
        return next(each for each in link.between if each != name)

    @staticmethod
    def namespace(name):
        return lab_mark.own(name)

    def add(self, name):
        namespace = self.namespace(name)
        command("ip", "netns", "add", namespace)
        self.names.append(namespace)
        command("ip", "-n", namespace, "link", "set", "lo", "up")
        return namespace

    def wire(self, left, right, shape):
        """`left` and `right`: (namespace, name of the port there)."""
        command("ip", "-n", left[0], "link", "add", left[1], "type", "veth", "peer", "name",
                right[1], "netns", right[0])
        for namespace, port in (left, right):
            command("ip", "-n", namespace, "link", "set", port, "up")
            self.shape(namespace, port, shape.rate, shape.latency_s)

    @staticmethod
    def shape(namespace, port, rate, latency_s):
        rate_words = ["rate", f"{round(rate * 8)}bit"] if rate else []
        add = ["tc", "-n", namespace, "qdisc", "add", "dev", port, "root"]
        if latency_s:
            try:
                command(*add, "netem", "delay", f"{round(latency_s * 1e6)}us", *rate_words)
            except Refusal as refusal:
                raise Refusal("links: this kernel has no netem (tc qdisc add ... netem), so a "
                              "latency cannot be emulated here; leave latency out, or take a "
                              "kernel with CONFIG_NET_SCH_NETEM") from refusal
        elif rate:
            burst = max(BURST_BYTES_MIN, round(rate * BURST_S))
            command(*add, "tbf", *rate_words, "burst", burst, "latency", f"{QUEUE_S * 1000:g}ms")

    def prefix(self, name):
        """Words before a program that runs on that device."""
        return f"nsenter --net=/run/netns/{self.namespace(name)} --"

    def listen_words(self, name, central):
        address = self.addresses[name]
        return ["--listen", f"tcp://{address}:{CENTRAL_PORT if central else '*'}",
                "--advertise", address, "--insecure"]

    def central_endpoint(self, central):
        return f"tcp://{self.addresses[central]}:{CENTRAL_PORT}"

    def close(self):
        while self.names:
            subprocess.run(["ip", "netns", "del", self.names.pop()], check=False,
                           timeout=COMMAND_S, capture_output=True)
