"""Experiment files: TOML to Experiment.

Everything is checked here, before a process is started: an unknown key, a device that does not
exist or a unit that is none is refused by name. The tables and keys are told in README.md.
"""

import itertools
import pathlib
import tomllib

from lab_experiment import Device, Event, Experiment, Link, Refusal, Variant, groups

DUTY_MAX = 1.5  # of two cores: what is left is for the harness, the kernel and the reactor threads
PERMUTED_MAX = 5
ACTS = ("speed", "kill", "stop", "continue", "leave", "join")
ENDS = ("kill", "leave", "join")  # central cannot: the run is its
SOLO_MODES = ("together", "apart", "none")
FIGURES = ("steady", "whole")
KINDS = ("ratio", "ideal", "alike", "predicted", "recovery", "memory", "reconfigurations", "rate")
RATES = {"GB/s": 1e9, "MB/s": 1e6, "kB/s": 1e3, "KB/s": 1e3, "B/s": 1,
         "Gbit/s": 1e9 / 8, "Mbit/s": 1e6 / 8, "kbit/s": 1e3 / 8}
TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1}
KEYS = {
    "lab": ("duty", "rounds", "warm_up", "solo", "oversubscribe"),
    "run": ("model", "data", "batch_size", "batches", "seconds", "schedule", "threads", "measure",
            "options"),
    "device": ("name", "speed", "memory", "memory_mb", "rate", "latency", "starts", "options"),
    "link": ("between", "rate", "latency"),
    "event": ("at_batch", "at_seconds", "device", "do", "speed"),
    "variant": ("name", "options", "order", "orders", "batches", "seconds", "measure"),
    "check": (*KINDS, "at_least", "at_most", "phase", "of", "unit", "device", "reason"),
}


def quantity(text, units, what):
    """`2MB/s` -> 2e6."""
    for unit in sorted(units, key=len, reverse=True):
        if isinstance(text, str) and text.endswith(unit):
            try:
                value = float(text[:-len(unit)])
            except ValueError:
                break
            if value > 0:
                return value * units[unit]
    raise Refusal(f"{what} = {text!r}: give a number above 0 with one of {', '.join(units)}")


def known(table, kind, where):
    for key in table:
        if key not in KEYS[kind]:
            raise Refusal(f"{where}: unknown key '{key}'; there are {', '.join(KEYS[kind])}")
    return table


def need(condition, text):
    if not condition:
        raise Refusal(text)


def window(table, where):
    value = table.get("measure")
    if value is None:
        return None
    need(isinstance(value, dict) and set(value) == {"from_batch", "to_batch"},
         f"{where}: measure = {value!r}: write {{ from_batch = 50, to_batch = 200 }}")
    return (value["from_batch"], value["to_batch"])


def link_of(table, where):
    """Rate and latency."""
    rate = quantity(table["rate"], RATES, f"{where}: rate") if "rate" in table else 0
    latency = quantity(table["latency"], TIMES, f"{where}: latency") if "latency" in table else 0
    return rate, latency


def read_devices(tables):
    devices = {}
    for table in tables:
        name = table.get("name", "")
        where = f"[[device]] {name}"
        known(table, "device", where)
        need(name.isalnum() and name not in devices,
             f"{where}: a device needs a name of its own, of letters and digits")
        memory = table.get("memory") or (f"{table['memory_mb']}MB" if "memory_mb" in table else "")
        rate, latency = link_of(table, where)
        devices[name] = Device(name, float(table.get("speed", 1)), memory, rate, latency,
                               table.get("starts", True), tuple(table.get("options", ())))
        need(devices[name].speed > 0, f"{where}: speed must be above 0")
    need(len(devices) >= 1, "no [[device]]: an experiment needs at least one")
    return devices


def read_links(tables, devices):
    links = []
    for table in tables:
        between = tuple(table.get("between", ()))
        where = f"[[link]] between {list(between)}"
        known(table, "link", where)
        need(len(set(between)) == 2 and set(between) <= set(devices),
             f"{where}: name two devices of the experiment")
        links.append(Link(between, *link_of(table, where)))
    return tuple(links)


def read_events(tables, devices):
    events = []
    for table in tables:
        where = f"[[event]] {table}"
        known(table, "event", where)
        need(table.get("device") in devices, f"{where}: device must be one of {list(devices)}")
        need(table.get("do") in ACTS, f"{where}: do must be one of {', '.join(ACTS)}")
        need(("at_batch" in table) != ("at_seconds" in table),
             f"{where}: give either at_batch or at_seconds")
        need((table["do"] == "speed") == ("speed" in table) and table.get("speed", 1) > 0,
             f"{where}: do = \"speed\" needs speed above 0, and nothing else has it")
        events.append(Event(**table))
    return tuple(events)


def orders_of(table, devices, where):
    if "order" in table:
        return [tuple(table["order"])]
    orders = table.get("orders", [list(devices)])
    if orders == "all":
        need(len(devices) <= PERMUTED_MAX,
             f"{where}: orders = \"all\" of {len(devices)} devices are too many; list some")
        orders = itertools.permutations(devices)
    return [tuple(order) for order in orders]


def read_variants(tables, run, devices, events):
    variants = []
    for table in tables or [{"name": "run"}]:
        group = table.get("name", "")
        where = f"[[variant]] {group}"
        known(table, "variant", where)
        need(group and group not in [each.group for each in variants],
             f"{where}: a variant needs a name of its own")
        orders = orders_of(table, devices, where)
        for order in orders:
            need(sorted(order) == sorted(devices),
                 f"{where}: order {list(order)}: name each device once, central first")
            need(devices[order[0]].starts, f"{where}: {order[0]} is central and must start")
            for event in events:
                need(event.device != order[0] or event.do not in ENDS,
                     f"{where}: {event.text()}: it is central, which can do speed, stop, continue")
            name = f"{group} {','.join(order)}" if len(orders) > 1 else group
            batches = table.get("batches", run.get("batches"))
            seconds = table.get("seconds", run.get("seconds"))
            need(batches or seconds, f"{where}: say batches or seconds, here or in [run]")
            variants.append(Variant(name, group, order, tuple(table.get("options", ())), batches,
                                    seconds, window(table, where) or window(run, "[run]")))
    return tuple(variants)


def read_checks(tables, variants, devices, phases):
    names = {each.name for each in variants}
    for table in tables:
        where = f"[[check]] {table}"
        known(table, "check", where)
        kinds = [kind for kind in KINDS if kind in table]
        need(len(kinds) == 1, f"{where}: exactly one of {', '.join(KINDS)}")
        need("at_least" in table or "at_most" in table, f"{where}: at_least or at_most is missing")
        subject = table[kinds[0]]
        if kinds[0] == "alike":
            need(subject in {each.group for each in variants},
                 f"{where}: alike takes the name of a variant that has `orders`")
        else:
            subjects = subject if isinstance(subject, list) else [subject]
            need(len(subjects) == (2 if kinds[0] == "ratio" else 1) and set(subjects) <= names,
                 f"{where}: no such variant; there are {', '.join(sorted(names))}")
        need(kinds[0] != "memory" or table.get("device") in devices,
             f"{where}: memory needs device, one of {list(devices)}")
        need(table.get("of", "steady") in FIGURES, f"{where}: of must be one of {FIGURES}")
        need(-phases <= table.get("phase", -1) < phases,
             f"{where}: phases are 0 to {phases - 1}, one more than moments with events")
        need(table.get("unit", "seconds") in ("seconds", "batches"),
             f"{where}: unit is seconds or batches")
    return tuple(tables)


def check_duty(duty, devices, events, threads, oversubscribe):
    fastest = {name: device.speed for name, device in devices.items()}
    for event in events:
        if event.do == "speed":
            fastest[event.device] = max(fastest[event.device], event.speed)
    for name, speed in fastest.items():
        need(0 < duty * speed <= threads,
             f"duty {duty:g} times the speed {speed:g} of {name} is more than its {threads} "
             "thread(s) can use; lower duty in [lab]")
    total = duty * sum(fastest.values())
    need(oversubscribe or total <= DUTY_MAX + 1e-9,
         f"the devices ask for {total:.2f} cores, more than {DUTY_MAX}: their quotas would not be "
         f"met. Lower duty in [lab] to {DUTY_MAX / sum(fastest.values()):.2f}, or set "
         "oversubscribe = true if this machine has cores enough")


def read(path, rounds=None):
    """The experiment in that file. Errors: Refusal."""
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as file:
            toml = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Refusal(f"{path}: {error}") from error
    try:
        return read_tables(path.stem, toml, rounds)
    except Refusal as refusal:
        raise Refusal(f"{path}: {refusal}") from refusal
    except (TypeError, ValueError, AttributeError) as error:
        raise Refusal(f"{path}: a value of the wrong type ({error})") from error


def read_tables(name, toml, rounds):
    for key in toml:
        need(key in KEYS, f"unknown table '{key}'; there are {', '.join(KEYS)}")
    lab = known(toml.get("lab", {}), "lab", "[lab]")
    run = known(toml.get("run", {}), "run", "[run]")
    devices = read_devices(toml.get("device", []))
    events = read_events(toml.get("event", []), devices)
    threads = run.get("threads", 1)
    duty = lab.get("duty", 0.7)
    check_duty(duty, devices, events, threads, lab.get("oversubscribe", False))
    solo = lab.get("solo", "together")
    need(solo in SOLO_MODES, f"[lab] solo = {solo!r}: one of {', '.join(SOLO_MODES)}")
    variants = read_variants(toml.get("variant", []), run, devices, events)
    checks = read_checks(toml.get("check", []), variants, devices, len(groups(events)) + 1)
    for table in checks:
        need(solo != "none" or "ideal" not in table, f"[[check]] {table}: needs [lab] solo")
    return Experiment(
        name, run.get("model", "mobilenetv2"), run.get("data", "synthetic:3x32x32:10"),
        run.get("batch_size", 64), run.get("schedule", "async"), threads,
        tuple(run.get("options", ())), duty, rounds or lab.get("rounds", 3),
        lab.get("warm_up", 20), solo, devices, read_links(toml.get("link", []), devices), events,
        variants, checks)
