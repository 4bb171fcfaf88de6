"""The figures of an experiment as text: medians over the rounds, and from least to greatest."""

import collections
import os
import statistics


def spread(values, digits=0):
    if not values:
        return "-"
    low, high = min(values), max(values)
    text = f"{statistics.median(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ({low:.{digits}f} to {high:.{digits}f})"


def shape_text(link):
    """Rate and latency of a device's access link, or of a wire."""
    words = [f"{link.rate / 1e6:g} MB/s"] if link.rate else []
    words += [f"{link.latency_s * 1e3:g} ms"] if link.latency_s else []
    return " ".join(words) or "unlimited"


def device_text(device):
    words = [f"{device.memory} memory"] if device.memory else []
    words += [f"link {shape_text(device)}"] if device.rate or device.latency_s else []
    words += [] if device.starts else ["joins later"]
    return f"{device.name} {device.speed:g}" + (f" ({', '.join(words)})" if words else "")


def header(bench):
    one = bench.experiment
    links = "".join(f"; wire {'-'.join(link.between)} {shape_text(link)}" for link in one.links)
    return (f"{one.name}: {bench.model.stem}, {one.data}, batch {one.batch_size}, {one.schedule}, "
            f"{one.threads} thread(s) a device\n"
            f"EMULATED devices, processes of one machine: {bench.throttle.text()}; "
            f"{bench.network.text()}{links}\n"
            f"speeds: {', '.join(device_text(each) for each in one.devices.values())}; speed 1 is "
            f"{one.duty:g} of a core\n"
            f"{one.rounds} round(s), interleaved; median (least to greatest)")


def solo_lines(results):
    one = results.experiment
    for index, state in enumerate(one.states()):
        if index and state in one.states()[:index]:
            continue
        each = ", ".join(
            f"{name} at {speed:g}: {spread([solo[index][name] for solo in results.solo])}"
            for name, speed in state.items())
        total = spread([sum(solo[index].values()) for solo in results.solo])
        how = "all at once" if one.solo == "together" else "one after the other"
        yield f"  solo, images/s, {how}: {each}; sum {total}"


def reason_text(phases):
    """How often each reason came in a round, and when in the last one."""
    counts = collections.Counter(event["reason"] for phase in phases
                                 for _, event in phase.reconfigured)
    parts = [f"{count / len(phases):g} {reason}" for reason, count in counts.items()]
    if not parts:
        return "none"
    moments = [f"{at - phases[-1].begin_s:.1f} s" for at, _ in phases[-1].reconfigured]
    when = f"; in the last round after {', '.join(moments)}" if moments else ""
    return ", ".join(parts) + when


def ranges_text(ranges):
    return ", ".join(f"{each['name']} [{each['first']}, {each['last']})" for each in ranges or [])


def shares_text(phases, field):
    """A figure of each device."""
    found = collections.defaultdict(list)
    for phase in phases:
        for device, share in (getattr(phase, field) or {}).items():
            found[device].append(share)
    return ", ".join(f"{device} {spread(shares, 2)}" for device, shares in found.items()) or "-"


HEADS = ("variant, phase", "images/s, steady", "whole phase", "of the sum of solo",
         "predicted / measured", "recovery, s", "batches")


def figure_rows(results):
    yield HEADS
    for variant in results.experiment.variants:
        for index in range(len(results.phases[variant.name][0])):
            def cell(get, digits=0, name=variant.name, index=index):
                return spread(results.values(name, index, get), digits)

            yield (f"{variant.name}, {index}", cell(lambda p: p.steady), cell(lambda p: p.whole),
                   cell(lambda p: p.fraction, 3), cell(lambda p: p.predicted_ratio, 3),
                   cell(lambda p: p.recovery_seconds, 2), cell(lambda p: p.recovery_batches))


def aligned(rows):
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()


def detail_lines(results, name):
    """What led to the figures of one variant, phase by phase."""
    rounds = results.phases[name]
    for index in range(len(rounds[0])):
        phases = [each[index] for each in rounds]
        last = phases[-1]
        window = f"; steady: batches {last.window[0]} to {last.window[1]}" if last.window else ""
        yield f"  {name}, phase {index}: {last.label}{window}"
        yield f"    reconfigurations    {reason_text(phases)}"
        yield f"    last ranges         {ranges_text(last.ranges)}"
        yield f"    used of its share   {shares_text(phases, 'busy')}"
        if results.experiment.threads == 1:
            yield f"    outside compute     {shares_text(phases, 'outside')}"
    traces = results.traces[name]
    peaks = {device: [trace["memory"][device] for trace in traces if device in trace["memory"]]
             for device in results.experiment.devices}
    text = ", ".join(f"{device} {spread(values)}" for device, values in peaks.items())
    yield f"    peak memory, MiB    {text}"


def ratio_lines(results):
    """The first variant against the others."""
    first, *others = [each.name for each in results.experiment.variants]
    for other in others:
        for index in range(len(results.phases[first][0])):
            ratios = results.ratios(first, other, index, lambda p: p.steady)
            yield f"  {first} / {other}, phase {index}: {spread(ratios, 3)}"


def machine_line(results):
    foreign = [phase.foreign_cores for rounds in results.phases.values() for phases in rounds
               for phase in phases if phase.foreign_cores is not None]
    one = results.experiment
    asked = one.duty * max(sum(state.values()) for state in one.states())
    doubt = ""
    if foreign and max(foreign) + asked > os.cpu_count():
        doubt = (f"; with the devices' {asked:.2f} that is more than the {os.cpu_count()} there "
                 "are: the figures are doubtful")
    return f"  other work on the machine, cores: {spread(foreign, 2)}{doubt}"


def tell(results, verdicts):
    if results.solo:
        print(*solo_lines(results), sep="\n")
    print(*aligned(figure_rows(results)), sep="\n")
    for line in ratio_lines(results):
        print(line)
    for variant in results.experiment.variants:
        print(*detail_lines(results, variant.name), sep="\n")
    print(machine_line(results))
    for each in verdicts:
        print(f"  check {'ok  ' if each.ok else 'FAIL'} {each.text}")
