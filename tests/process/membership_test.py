"""Devices come late and go early while training goes on; nothing is trained twice for them."""

import signal
import unittest

import cluster
import ftrun

BATCHES = 300
RUN = [ftrun.EXAMPLE, "--data", "synthetic:1x28x28:10:256", "--batch-size", 16, "--batches",
       BATCHES, "--schedule", "sync", "--replicate-every", 10, "--failure-timeout", "10s"]


class Membership(cluster.Case):
    def check_voluntary(self, run, *reasons):
        """The run had these reconfigurations, cost nothing and changed no bit."""
        self.check_solo(run)
        self.check_batches(run, BATCHES)
        self.check_nothing_replayed(run.central)
        self.assertEqual(run.central.all("device_lost"), [])
        self.assertEqual([event["reason"] for event in run.central.all("reconfigured")],
                         ["start", *reasons])

    def test_a_late_stage_joins(self):
        with self.cluster(*RUN) as run:
            central = run.begin("a")
            central.until_batch(50)
            late = run.start_stage("b")
            joined = central.reconfigured("join")
            self.assertEqual({stage["name"] for stage in joined["ranges"]} & {"a", "b"},
                             {"a", "b"})
            self.assertGreater(joined["moved_bytes"], 0)
            self.check_voluntary(run, "join")
            self.check_end(late)
            self.check_end(run.stages["a"])

    def test_a_stage_leaves(self):
        for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
            with self.subTest(signal=number), self.cluster(*RUN) as run:
                central = run.begin("a", "b", "c")
                central.until_batch(50)
                run.stages["b"].send(number)
                self.check_end(run.stages["b"], code)
                event = central.until("device_left")
                self.assertEqual((event["name"], event["devices"]), ("b", 3))
                left = central.reconfigured("leave")
                self.assertNotIn("b", [stage["name"] for stage in left["ranges"]])
                self.check_voluntary(run, "leave")
                for name in ("a", "c"):
                    self.check_end(run.stages[name])

    def test_one_comes_another_goes(self):
        with self.cluster(*RUN) as run:
            central = run.begin("a", "b")
            central.until_batch(50)
            run.start_stage("c")
            central.reconfigured("join")
            run.stages["a"].send(signal.SIGTERM)
            self.check_end(run.stages["a"])
            self.check_voluntary(run, "join", "leave")
            for name in ("b", "c"):
                self.check_end(run.stages[name])

    def test_both_at_the_same_moment(self):
        with self.cluster(*RUN) as run:
            central = run.begin("a", "b")
            central.until_batch(50)
            late = run.start_stage("c")
            central.joined("c")
            run.stages["a"].send(signal.SIGTERM)
            self.check_end(run.stages["a"])
            central.until("device_left")
            self.check_solo(run)
            self.check_batches(run, BATCHES)
            self.check_nothing_replayed(central)
            self.assertEqual(central.all("device_lost"), [])
            self.check_end(late)

    def test_all_leave_and_central_goes_on_alone(self):
        for names in (("a",), ("a", "b")):
            with self.subTest(names=names), self.cluster(*RUN) as run:
                central = run.begin(*names)
                central.until_batch(50)
                for name in names:
                    run.stages[name].send(signal.SIGTERM)
                for name in names:
                    self.check_end(run.stages[name])
                self.check_solo(run)
                self.check_batches(run, BATCHES)
                self.check_nothing_replayed(central)
                last = central.all("reconfigured")[-1]
                self.assertEqual((last["reason"], len(last["ranges"])), ("leave", 1))
                self.assertEqual([event["devices"] for event in central.all("device_left")],
                                 list(range(len(names), 0, -1)))

    def test_who_leaves_may_come_back(self):
        with self.cluster(*RUN) as run:
            central = run.begin("a", "b")
            central.until_batch(50)
            run.stages["a"].send(signal.SIGTERM)
            self.check_end(run.stages["a"])
            position = central.position()
            run.start_stage("a")
            central.joined("a", position)
            self.check_voluntary(run, "leave", "join")


if __name__ == "__main__":
    unittest.main()
