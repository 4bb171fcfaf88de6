#!/usr/bin/python3
"""Tests of the lab's arithmetic, on traces made by hand. Usage: bench/lab_test.py"""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import lab_check
import lab_experiment
import lab_file
import lab_mark
import lab_phases
import lab_throttle

EXPERIMENTS = sorted(pathlib.Path(__file__).with_name("lab").glob("*.toml"))
TWO_DEVICES = """
[lab]
duty = 0.5
rounds = 1
warm_up = 5
[run]
batch_size = 10
batches = 200
[[device]]
name = "a"
[[device]]
name = "b"
"""
KILL = """
[[event]]
at_batch = 99
device = "b"
do = "kill"
"""


def read(text):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        return lab_file.read(file.name)


def trace_of(batches, events=(), struck=(), ended="seconds"):
    """`batches`: [time, batch]. Both devices use a quarter of a core, a fifth of that outside
    compute; the machine uses a tenth of a core besides."""
    usage = [[at / 4, {name: (at / 16, at / 20) for name in "ab"}, at / 8 + at / 40]
             for at in range(0, 400)]
    return {"batches": [[at, batch, False] for at, batch in batches], "events": list(events),
            "struck": list(struck), "usage": usage, "memory": {}, "ended": ended}


def reconfigured(at, reason, predicted=None):
    event = {"event": "reconfigured", "reason": reason, "ranges": []}
    if predicted:
        event["predicted_images_per_second"] = predicted
    return [at, event]


def every(seconds, first, last, begin):
    """Batches first .. last, one in so many seconds."""
    return [[begin + seconds * (1 + batch - first), batch] for batch in range(first, last + 1)]


class PhasesTest(unittest.TestCase):
    def analyse(self, text, trace, solo=None):
        one = read(text)
        return lab_phases.analyse(trace, one, one.variants[0], solo)

    def test_steady_begins_after_the_last_reconfiguration_of_the_first_half_and_warm_up(self):
        batches = every(0.5, 0, 29, 0) + every(0.1, 30, 199, 20)
        events = [reconfigured(0, "start"), reconfigured(20, "repartition", 110)]
        solo = [{"a": 60, "b": 65}]
        phase, = self.analyse(TWO_DEVICES, trace_of(batches, events), solo)
        self.assertEqual(phase.window, (35, 199))
        self.assertAlmostEqual(phase.steady, 100)
        self.assertAlmostEqual(phase.whole, 200 * 10 / 37)
        self.assertAlmostEqual(phase.fraction, 0.8)
        self.assertAlmostEqual(phase.predicted_ratio, 1.1)

    def test_a_late_reconfiguration_is_part_of_what_is_measured(self):
        batches = every(0.1, 0, 149, 0) + every(0.1, 150, 199, 20)
        events = [reconfigured(0, "start"), reconfigured(20, "repartition")]
        phase, = self.analyse(TWO_DEVICES, trace_of(batches, events))
        self.assertEqual(phase.window, (5, 199))
        self.assertAlmostEqual(phase.steady, 194 * 10 / 24.4)

    def test_batches_that_empty_the_pipeline_do_not_count(self):
        trace = trace_of(every(0.1, 0, 199, 0), ended="finished")
        phase, = self.analyse(TWO_DEVICES, trace)
        self.assertEqual(phase.window, (5, 197))

    def test_a_stated_window_is_taken_as_it_is(self):
        text = TWO_DEVICES.replace("batches = 200",
                                   "batches = 200\nmeasure = { from_batch = 50, to_batch = 99 }")
        batches = every(0.1, 0, 99, 0) + every(1, 100, 199, 10)
        phase, = self.analyse(text, trace_of(batches))
        self.assertEqual(phase.window, (50, 99))
        self.assertAlmostEqual(phase.steady, 100)

    def test_a_short_phase_has_no_steady_figure(self):
        phase, = self.analyse(TWO_DEVICES, trace_of(every(0.1, 0, 14, 0)))
        self.assertIsNone(phase.steady)

    def test_recovery_counts_the_stall_and_the_slow_batches_and_no_replayed_ones(self):
        replayed = every(0.05, 90, 99, 13)
        slow = every(0.4, 100, 119, 14)
        after = every(0.2, 120, 199, 22)
        batches = every(0.1, 0, 99, 0) + replayed + slow + after
        events = [reconfigured(0, "start"), reconfigured(13, "failure"),
                  reconfigured(22, "repartition")]
        before, phase = self.analyse(TWO_DEVICES + KILL,
                                     trace_of(batches, events, [[10.0, 0, 99]]),
                                     [{"a": 60, "b": 60}, {"a": 60}])
        self.assertAlmostEqual(before.steady, 100)
        self.assertAlmostEqual(phase.ideal, 60)
        # Ten intervals from batch 118 on, one of them slow: 45.5 images/s, 0.9 of 50 are 45.
        self.assertAlmostEqual(phase.steady, 50)
        self.assertEqual(phase.recovery_batches, 18)
        self.assertAlmostEqual(phase.recovery_seconds, 11.6)

    def test_use_is_told_in_parts_of_the_share(self):
        phase, = self.analyse(TWO_DEVICES, trace_of(every(0.1, 0, 199, 0)))
        self.assertAlmostEqual(phase.busy["a"], 0.5, places=2)
        self.assertAlmostEqual(phase.outside["b"], 0.2)
        self.assertAlmostEqual(phase.foreign_cores, 0.1, places=2)


class ExperimentTest(unittest.TestCase):
    def refused(self, text, *words):
        with self.assertRaises(lab_experiment.Refusal) as caught:
            read(text)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_those_of_the_folder_can_be_read(self):
        self.assertGreater(len(EXPERIMENTS), 5)
        for path in EXPERIMENTS:
            lab_file.read(path)

    def test_a_wrong_key_device_unit_or_load_is_refused_by_name(self):
        self.refused(TWO_DEVICES + "sped = 1\n", "sped", "speed")
        self.refused(TWO_DEVICES + "rate = \"2MB\"\n", "rate", "MB/s")
        self.refused(TWO_DEVICES + KILL.replace('"b"', '"c"'), "device")
        self.refused(TWO_DEVICES + KILL.replace('"b"', '"a"'), "central")
        self.refused(TWO_DEVICES.replace("duty = 0.5", "duty = 0.9"), "1.80 cores", "duty")

    def test_states_follow_the_events(self):
        slow = KILL.replace('"kill"', '"speed"\nspeed = 0.1')
        back = KILL.replace('"kill"', '"join"').replace("99", "150")
        one = read(TWO_DEVICES + slow + KILL.replace("99", "120") + back)
        self.assertEqual(one.states(), [{"a": 1, "b": 1}, {"a": 1, "b": 0.1}, {"a": 1},
                                        {"a": 1, "b": 0.1}])

    def test_all_orders(self):
        one = read(TWO_DEVICES + "[[variant]]\nname = \"x\"\norders = \"all\"\n")
        self.assertEqual([each.order for each in one.variants], [("a", "b"), ("b", "a")])
        self.assertEqual([each.name for each in one.variants], ["x a,b", "x b,a"])


class CheckTest(unittest.TestCase):
    def verdict(self, check, *rates):
        """Of variants x and y, with those steady images/s."""
        names = "".join(f"[[variant]]\nname = \"{name}\"\n" for name in "xy")
        one = read(TWO_DEVICES + names + f"[[check]]\n{check}\n")
        results = lab_check.Results(one, [])
        for variant, rate in zip(one.variants, rates):
            results.add(variant, {"memory": {}},
                        [lab_phases.Phase("start", 0, 1, [], [], steady=rate, ideal=100)])
        return lab_check.verdict(results, one.checks[0])

    def test_bounds_hold_or_not(self):
        self.assertTrue(self.verdict('ratio = ["x", "y"]\nat_least = 2', 90, 45).ok)
        self.assertFalse(self.verdict('ratio = ["x", "y"]\nat_least = 2', 90, 46).ok)
        self.assertTrue(self.verdict('ideal = "x"\nat_least = 0.9', 90, 46).ok)
        self.assertFalse(self.verdict('rate = "x"\nat_most = 89', 90, 46).ok)

    def test_what_was_not_measured_fails(self):
        verdict = self.verdict('recovery = "x"\nat_most = 10', 90, 46)
        self.assertFalse(verdict.ok)
        self.assertIn("not measured", verdict.text)


class LeftoversTest(unittest.TestCase):
    def test_a_quota_is_never_below_what_the_kernel_takes(self):
        for share in (1, 0.7, 0.07, 0.036, 0.001):
            quota, period = lab_throttle.quota_of(share)
            self.assertGreaterEqual(quota, 1000)
            self.assertAlmostEqual(quota / period / share, 1, delta=0.01)

    def test_only_what_an_ended_lab_has_left_is_stale(self):
        self.assertFalse(lab_mark.is_stale(lab_mark.own("a")))
        self.assertFalse(lab_mark.is_stale("somebody-else"))
        self.assertFalse(lab_mark.is_stale(lab_mark.PREFIX))
        self.assertTrue(lab_mark.is_stale(lab_mark.PREFIX + "-1-1-a"))


if __name__ == "__main__":
    unittest.main()
