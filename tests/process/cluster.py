"""A cluster: one run with its centrals, one after the other, and its stages by name, all of them
processes of this machine."""

import contextlib
import json
import pathlib
import random
import shutil
import socket
import sys

import ftrun
import process

# Central is found there again after its restart. Below the ports that the system hands out to
# whoever connects: a stage that tries a free one of those could meet itself.
PORTS = range(20000, 32000)


def free_port():
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Cluster:
    """One run: `words` are the model and the training options, repeated for each central.
    Unless they say otherwise the partition is even: then only what happens cuts the pipeline, not
    how busy this machine is."""

    def __init__(self, directory, words, port=None, binary=ftrun.BINARY):
        self.directory = pathlib.Path(directory)
        self.run_dir = self.directory / "run"
        self.words = [str(word) for word in words]
        if "--partition" not in self.words:
            self.words += ["--partition", "even"]
        self.endpoint = f"tcp://127.0.0.1:{port or free_port()}"
        self.binary = binary
        self.centrals = []
        self.stages = {}
        self.processes = []

    def start(self, *words, binary=None):
        started = process.Process(words, self.directory, binary or self.binary)
        self.processes.append(started)
        return started

    def start_central(self, *words):
        self.centrals.append(self.start(
            *self.words, "--role", "central", "--listen", self.endpoint, "--run-dir",
            self.run_dir, "--progress", "json", *words))
        return self.central

    def start_stage(self, name, *words, binary=None):
        self.stages[name] = self.start("--role", "stage", "--central", self.endpoint, "--name",
                                       name, *words, binary=binary)
        return self.stages[name]

    def begin(self, *names):
        """Central and these stages, until training has begun."""
        self.start_central("--workers", len(names))
        for name in names:
            self.start_stage(name)
        self.central.until("reconfigured")
        return self.central

    @property
    def central(self):
        return self.centrals[-1]

    @property
    def port(self):
        return int(self.endpoint.rsplit(":", 1)[1])

    def wipe(self):
        """Loses the run directory; the events stay for the story."""
        self.run_dir.rename(self.directory / f"wiped-{len(self.centrals)}")

    def recorded(self):
        """The events of all centrals, as the run directory has them."""
        lines = (self.run_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def story(self):
        """What happened, batches left out."""
        lines = []
        for central in self.centrals:
            lines.append("central " + " ".join(central.words))
            for time_s, event in zip(central.times, central.events):
                if event["event"] != "batch":
                    brief = {key: event[key] for key in event if key not in ("bytes", "phases")}
                    lines.append(f"  {time_s - self.centrals[0].times[0]:8.3f} {brief}")
            batches = [event["batch"] for event in central.all("batch")]
            lines.append(f"  newest batch {max(batches, default=-1)}, exit code "
                         f"{central.popen.poll()}, {central.message()}")
        for other in self.processes:
            if other not in self.centrals:
                lines.append(f"{' '.join(other.words)}: exit code {other.popen.poll()}, "
                             f"{other.message()}")
        return "\n".join(lines)

    def close(self):
        for each in self.processes:
            each.close()


class Case(ftrun.Case):
    """A test with clusters."""

    solos = {}  # of all tests of this process: words -> hash

    @contextlib.contextmanager
    def cluster(self, *words, **more):
        """A cluster that ends with the block; when the test fails its story is printed."""
        self.runs += 1
        directory = self.directory / f"cluster-{self.runs}"
        directory.mkdir()
        cluster = Cluster(directory, words, **more)
        try:
            yield cluster
        except BaseException:
            print(f"\n{self.id()}:\n{cluster.story()}", file=sys.stderr)
            raise
        finally:
            cluster.close()
            shutil.rmtree(directory, ignore_errors=True)

    def solo_hash(self, *words):
        """Of the undisturbed run with the same words on one device."""
        words = [str(word) for word in words]
        if "--partition" in words:  # makes no difference
            place = words.index("--partition")
            del words[place:place + 2]
        key = tuple(words)
        if key not in self.solos:
            self.solos[key] = self.train(*words, "--role", "solo").hash()
        return self.solos[key]

    def check_end(self, started, code=0):
        self.assertEqual(started.end(), code, started.message())

    def check_solo(self, cluster):
        """Central has ended well, with the bits of solo."""
        self.check_end(cluster.central)
        self.assertEqual(cluster.central.hash(), self.solo_hash(*cluster.words))

    def check_replay(self, cluster):
        """Central has ended well, with the bits that the oracle makes of the run's record."""
        self.check_end(cluster.central)
        replayed = self.run_ftrun("replay", cluster.run_dir, "--json")
        self.assertEqual(replayed.code, 0, replayed.err)
        self.assertEqual(replayed.events[0]["weights_sha256"], cluster.central.hash())

    def check_batches(self, cluster, batches):
        """Every batch is there, none skipped; one that was there before says so."""
        seen = set()
        expected = 0
        for event in cluster.recorded():
            if event["event"] != "batch":
                continue
            self.assertLessEqual(event["batch"], expected)
            self.assertEqual(event.get("replayed", False), event["batch"] in seen, event)
            seen.add(event["batch"])
            expected = event["batch"] + 1
        self.assertEqual(seen, set(range(batches)))

    def check_nothing_replayed(self, central):
        self.assertEqual([event for event in central.all("batch") if "replayed" in event], [])
        self.assertEqual([event["replayed"] for event in central.all("reconfigured")],
                         [0] * len(central.all("reconfigured")))
