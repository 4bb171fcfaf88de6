"""--freeze, --train, --tie and --untie from the command line to stages, replay, export and resume."""

import json

import ftrun

RUN = ["--data", "synthetic:1x28x28:10:128", "--batch-size", 16, "--batches", 6, "--schedule",
       "sync", "--micro-batches", 2, "--threads", 1]
LENET = ftrun.MODELS / "lenet_train_op14.onnx"


class Tensors(ftrun.Case):
    def tensors(self, *words):
        report = json.loads(self.run_ftrun("inspect", *words, "--json").out)
        return {tensor["name"]: tensor for tensor in report["tensors"]}

    def first(self):
        """The first layer's tensors, by name."""
        names = list(self.tensors(LENET))
        return names[0].rsplit(".", 1)[0] + ".*"

    def test_frozen_layers_on_any_stages(self):
        frozen = ["--freeze", self.first()]
        free = self.train(LENET, *RUN)
        solo = self.train(LENET, *RUN, *frozen)
        self.assertNotEqual(solo.hash(), free.hash())
        self.assertIn("frozen tensors do not", solo.all("started")[0]["notes"][0])
        # Behind the first cut nothing before it trains, so no gradient comes back.
        local = self.train(LENET, *RUN, *frozen, "--role", "local", "--stages", 3, "--partition",
                           "fixed:1,2")
        self.assertEqual(local.hash(), solo.hash())
        self.assertIn(solo.hash(), self.run_ftrun("replay", local.run_dir).out)
        run = json.loads((local.run_dir / "run.json").read_text(encoding="utf-8"))
        self.assertEqual(run["freeze"], frozen[1:])
        self.refused("--run-dir", local.run_dir, "--resume", "--freeze", "other.*",
                     needs=["--freeze", frozen[1], "other.*", "leave it out"])

    def test_names_that_fit_nothing(self):
        name = list(self.tensors(LENET))[0]
        self.refused(LENET, *RUN, "--freeze", name + "x", needs=["--freeze", name, "nearest"])
        self.refused(LENET, *RUN, "--freeze", "*", needs=["nothing in the model trains", name])

    def test_inspect_lists_what_it_is_told(self):
        listed = self.tensors(LENET, "--freeze", self.first())
        roles = {tensor["role"] for tensor in listed.values()}
        self.assertEqual(roles, {"trains", "frozen"})
        for tensor in listed.values():
            self.assertTrue(tensor["reason"])
        text = self.run_ftrun("inspect", LENET).out
        self.assertIn("reason", text)
        self.assertIn("train", text.strip().splitlines()[-1])

    def test_copies_of_an_inference_export(self):
        model = ftrun.MODELS / "squeezenet_infer_op13.onnx"
        copies = {name: tensor["copy_of"] for name, tensor in self.tensors(model).items()
                  if "copy_of" in tensor}
        name, source = next(iter(copies.items()))
        tied = self.tensors(model, "--tie", f"{source}={name}")
        self.assertEqual(tied[name]["tied_to"], source)


if __name__ == "__main__":
    ftrun.unittest.main()
