"""The checks of an experiment: one figure of each round, and bounds on the median."""

import dataclasses
import statistics

from lab_file import KINDS


@dataclasses.dataclass
class Verdict:
    text: str
    values: list  # one a round; empty when it could not be measured
    ok: bool


class Results:
    """All rounds: variant -> the phases of each round, and its trace."""

    def __init__(self, experiment, solo):
        self.experiment = experiment
        self.solo = solo  # per round, per phase: device -> images/s
        self.phases = {variant.name: [] for variant in experiment.variants}
        self.traces = {variant.name: [] for variant in experiment.variants}

    def add(self, variant, trace, phases):
        self.traces[variant.name].append(trace)
        self.phases[variant.name].append(phases)

    def values(self, name, phase, get):
        """`get` of that phase in each round in which it was measured."""
        return [value for value in (get(phases[phase]) for phases in self.phases[name])
                if value is not None]

    def ratios(self, name, other, phase, get):
        """Round by round: both sides of a round met the same machine."""
        pairs = zip(self.phases[name], self.phases[other])
        sides = [(get(one[phase]), get(two[phase])) for one, two in pairs]
        return [one / two for one, two in sides if one and two]


def reconfigurations(phase, reason):
    return len([1 for _, event in phase.reconfigured if reason in (None, event["reason"])])


def figures(results, table):
    """(what is checked, its values)."""
    kind = next(kind for kind in KINDS if kind in table)
    subject, phase, of = table[kind], table.get("phase", -1), table.get("of", "steady")

    def rate(each):
        return getattr(each, of)

    if kind == "ratio":
        return (f"{subject[0]} / {subject[1]}, {of} images/s",
                results.ratios(*subject, phase, rate))
    if kind == "alike":
        names = [each.name for each in results.experiment.variants if each.group == subject]
        rates = [results.values(name, phase, rate) for name in names]
        if not all(rates):
            return f"spread of {subject} over its orders", []
        medians = [statistics.median(each) for each in rates]
        return (f"spread of {subject} over its {len(names)} orders, (greatest - least) / greatest",
                [1 - min(medians) / max(medians)])
    if kind == "ideal":
        return f"{subject} / sum of solo", results.values(subject, phase, lambda p: p.fraction)
    if kind == "predicted":
        return (f"{subject}, predicted / measured images/s",
                results.values(subject, phase, lambda p: p.predicted_ratio))
    if kind == "recovery":
        unit = table.get("unit", "seconds")
        return (f"{subject}, recovery in {unit}",
                results.values(subject, phase, lambda p: getattr(p, f"recovery_{unit}")))
    if kind == "memory":
        name = table["device"]
        return (f"{subject}, peak MiB of {name}",
                [trace["memory"][name] for trace in results.traces[subject]
                 if name in trace["memory"]])
    if kind == "reconfigurations":
        reason = table.get("reason")
        return (f"{subject}, reconfigurations" + (f" by {reason}" if reason else ""),
                results.values(subject, phase, lambda p: reconfigurations(p, reason)))
    return f"{subject}, {of} images/s", results.values(subject, phase, rate)


def verdict(results, table):
    text, values = figures(results, table)
    # A figure that is missing in some round is no figure: recovery that was not reached, say.
    rounds = 1 if "alike" in table else results.experiment.rounds
    measured = len(values) == rounds
    middle = statistics.median(values) if values else 0.0
    ok = measured and middle >= table.get("at_least", middle) and \
        middle <= table.get("at_most", middle)
    bounds = [f"{word} {table[key]:g}" for key, word in (("at_least", "at least"),
                                                         ("at_most", "at most")) if key in table]
    if "phase" in table:
        text += f", phase {table['phase']}"
    found = f"{middle:.3f} ({min(values):.3f} to {max(values):.3f})" if values else "not measured"
    if values and not measured:
        found += f", measured in {len(values)} of {rounds} rounds"
    return Verdict(f"{text}: {found}, {' and '.join(bounds)}", values, ok)
