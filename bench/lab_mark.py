"""The mark on what outlives a process: control groups, namespaces and scratch directories.

It holds the process id and its start time, so that what an earlier, killed lab has left behind is
known for what it is, even when the id was given away again.
"""

import os

PREFIX = "ftrunlab"


def start_time(pid):
    """In clock ticks since boot; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def own(thing):
    """The name of a thing of this process."""
    return f"{PREFIX}-{os.getpid()}-{start_time(os.getpid())}-{thing}"


def is_stale(name):
    """It is a lab's, and that lab has ended."""
    parts = name.split("-", 3)
    if len(parts) != 4 or parts[0] != PREFIX or not parts[1].isdigit():
        return False
    return start_time(parts[1]) != parts[2]
