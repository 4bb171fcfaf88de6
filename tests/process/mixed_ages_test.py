"""bench/mixed_ages trains what the pipeline trains, and its rules do what they say."""

import os
import subprocess
import unittest

import ftrun

BINARY = os.environ.get("MIXED_AGES", str(ftrun.ROOT / "build" / "dev" / "bench" / "mixed_ages"))
RUN = [ftrun.EXAMPLE, "--data", "synthetic:1x28x28:10:256", "--batch-size", 16, "--batches", 30,
       "--stages", 3, "--replicate-every", 10]


def run_bench(*words):
    return subprocess.run([BINARY, *map(str, words)], text=True, capture_output=True,
                          timeout=ftrun.TIMEOUT_S)


class MixedAges(ftrun.Case):
    def outcomes(self, lose, *more):
        """By rule: batches trained again, updates of layers lost, SHA-256 of the weights."""
        ended = run_bench("--seeds", 1, "--lose", lose, *RUN, *more)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        rows = [line.split() for line in ended.stdout.splitlines() if "weights_sha256" in line]
        return {row[0]: (int(row[5]), int(row[6]), row[8]) for row in rows}

    def test_undisturbed_it_has_the_bits_of_the_pipeline(self):
        for more in (["--momentum", 0.9], ["--partition", "fixed:2,7", "--aggregate-every", 4]):
            with self.subTest(more=more):
                run = self.train(*RUN, "--role", "local", *more)
                self.assertEqual(set(self.outcomes("", *more).values()), {(0, 0, run.hash())})

    def test_what_is_lost_and_trained_again(self):
        # Layers [2, 5) and [5, 11), of which one has no parameters.
        made = self.outcomes("9:1,23:2", "--momentum", 0.9, "--partition", "fixed:2,5")
        self.assertEqual(made["undisturbed"][:2], (0, 0))
        self.assertEqual(made["exact"][:2], (9 + 3, 0))
        self.assertEqual(made["ages"][:2], (0, 9 * 3 + 3 * 5))
        self.assertEqual(len({sha for _, _, sha in made.values()}), 3)

    def test_a_fresh_replica_loses_nothing_but_momentum(self):
        for momentum, equal in ((0, True), (0.9, False)):
            made = self.outcomes("10:1,20:2", "--momentum", momentum)
            self.assertEqual(made["exact"] == made["ages"], equal)
            self.assertNotEqual(made["exact"], made["undisturbed"])  # the pipeline began empty

    def test_how_far_the_rules_go_back(self):
        old, other, fresh, cut = (
            self.outcomes(lose, "--momentum", 0, "--replicate-every", every)
            for lose, every in (("15:1", 10), ("15:2", 10), ("15:1", 5), ("10:1", 10)))
        # All layers to the cut, whoever is lost and when: a run that was resumed there.
        self.assertEqual(old["exact"], other["exact"])
        self.assertEqual(old["exact"][2], cut["exact"][2])
        self.assertNotEqual(old["exact"][2], fresh["exact"][2])
        # Of the lost layers only.
        self.assertEqual(len({made["ages"][2] for made in (old, other, fresh)}), 3)

    def test_bad_words_are_refused(self):
        for words, needs in ((["--seeds", 0, *RUN], "--seeds 0"),
                             (["--lose", "5", *RUN], "BATCH:STAGE"),
                             (["--lose", "5:1,5:2", *RUN], "order them"),
                             (["--lose", "30:1", *RUN], "batches 0 to 29"),
                             (["--lose", "5:0", *RUN], "stages 1 to 2"),
                             ([*RUN, "--role", "solo"], "usage:")):
            ended = run_bench(*words)
            self.assertEqual(ended.returncode, 2, ended.stderr)
            self.assertIn(needs, ended.stderr)


if __name__ == "__main__":
    unittest.main()
