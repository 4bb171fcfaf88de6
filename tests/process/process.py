"""A started ftrun whose events are read as they come, so that a test can wait for one and strike at
once."""

import json
import math
import signal
import subprocess
import threading
import time

import ftrun


class Timeout(AssertionError):
    """What was waited for has not come, or cannot come any more."""


class Process:
    """A started ftrun. `events` grows, `times` has their arrival by time.monotonic()."""

    def __init__(self, words, directory, binary=ftrun.BINARY):
        self.words = [str(word) for word in words]
        self.events = []
        self.times = []
        self.messages = []
        self.open = True
        self.news = threading.Condition()
        self.popen = subprocess.Popen(
            [binary, *self.words], cwd=directory, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.threads = [threading.Thread(target=read, daemon=True)
                        for read in (self.read_events, self.read_messages)]
        for thread in self.threads:
            thread.start()

    def read_events(self):
        for line in self.popen.stdout:
            now = time.monotonic()
            with self.news:
                self.times.append(now)
                self.events.append(json.loads(line))
                self.news.notify_all()
        with self.news:
            self.open = False
            self.news.notify_all()

    def read_messages(self):
        for line in self.popen.stderr:
            with self.news:
                self.messages.append(line.rstrip())
                self.news.notify_all()

    @property
    def pid(self):
        return self.popen.pid

    def all(self, name, since=0):
        return [event for event in self.events[since:] if event["event"] == name]

    def position(self):
        """Where the next event will be: `until(..., since=position)` sees later ones only."""
        return len(self.events)

    def until(self, name, condition=lambda event: True, since=0, timeout=ftrun.TIMEOUT_S):
        """The first event of that name, from `since` on, for which `condition` holds.
        `timeout` None: however long it takes."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        with self.news:
            while True:
                while since < len(self.events):
                    event = self.events[since]
                    since += 1
                    if event["event"] == name and condition(event):
                        return event
                left = deadline - time.monotonic()
                if not self.open or left <= 0:
                    raise Timeout(f"no {name} from {' '.join(self.words)}")
                self.news.wait(min(left, threading.TIMEOUT_MAX))

    def until_message(self):
        """Until it has said something on standard error."""
        with self.news:
            if not self.news.wait_for(lambda: self.messages, ftrun.TIMEOUT_S):
                raise Timeout(f"no message from {' '.join(self.words)}")

    def until_batch(self, batch, since=0):
        return self.until("batch", lambda event: event["batch"] >= batch, since)

    def lost(self, name, since=0):
        return self.until("device_lost", lambda event: event["name"] == name, since)

    def joined(self, name, since=0):
        return self.until("device_joined", lambda event: event["name"] == name, since)

    def reconfigured(self, reason, since=0):
        return self.until("reconfigured", lambda event: event["reason"] == reason, since)

    def send(self, number):
        self.popen.send_signal(number)

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def freeze(self):
        self.send(signal.SIGSTOP)

    def wake(self):
        self.send(signal.SIGCONT)

    def end(self, timeout=ftrun.TIMEOUT_S):
        """Waits for its end; returns the exit code."""
        code = self.popen.wait(timeout)
        for thread in self.threads:
            thread.join(timeout)
        return code

    def message(self):
        return "\n".join(self.messages)

    def finished(self):
        return self.until("finished")

    def hash(self):
        return self.finished()["weights_sha256"]

    def close(self):
        if self.popen.poll() is None:
            self.kill()
        for thread in self.threads:
            thread.join(5)
        self.popen.stdout.close()
        self.popen.stderr.close()
