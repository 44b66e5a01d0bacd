"""What forged faces teach: detectors trained on them, on fakes made by people, and on both, scored on the latter."""

import json
import tempfile
from pathlib import Path

from benchmarks.commands import SCRATCH, check_split_folders, run_script

SHARE = 0.3  # of the real faces that are forged on the fly where there are other fakes beside
SCORES = ("f1_macro", "roc_auc")


def bench_forging(faces, *, depth=18, resize=256, crop=160, epochs=6, seed=0):
  """Trains three detectors from scratch on one folder of faces, and scores each on its val split.

  Args:
    faces: a folder with train/ and val/, each with real/ and fake/; val is used for nothing but the scores. An epoch is
      chosen on what is left out of training, of each detector's own kind of fakes.
    depth, resize, crop, epochs, seed: of every run.
  Returns: (text, {"forged": scores as `evaluation.scores.scores`, "expert": ..., "both": ...}).
  """
  faces = Path(faces).expanduser().resolve()
  check_split_folders(faces)
  expert = {"data.name": "folder", "data.path": faces, "data.train_split": "train[:85%]",
            "data.val_split": "train[85%:]", "data.test_split": "val"}
  kinds = {
      "forged": {"data.name": "forged", "data.path": faces / "train" / "real", "data.train_split": "train+test"},
      "expert": expert,
      "both": {**expert, "data.forge": SHARE}}
  common = {"model.depth": depth, "data.resize": resize, "data.crop": crop, "epochs": epochs, "plateau.patience": 2,
            "early_stopping_patience": epochs, "seed": seed}
  figures = {}
  with tempfile.TemporaryDirectory() as folder:
    common["data.dir"] = Path(folder) / "records"
    for kind, flags in kinds.items():
      workdir, out = Path(folder) / kind, Path(folder) / f"{kind}.json"
      config = [f"--config.{key}={value}" for key, value in {**common, **flags}.items()]
      run_script("train", f"--config={SCRATCH}", f"--workdir={workdir}", *config)
      run_script("evaluate", f"--workdir={workdir}", f"--data={faces}", "--split=val", f"--out={out}")
      figures[kind] = json.loads(out.read_text())
  lines = [f"ResNet-{depth} from scratch, {crop} of {resize} px, {epochs} epochs; scores on {faces.name}/val,"
           f" {figures['expert']['n']} images", f"{'trained on':<12}{'macro F1':<26}ROC AUC"]
  lines += [f"{kind:<12}" + "".join(f"{_with_interval(scores, name):<26}" for name in SCORES).rstrip()
            for kind, scores in figures.items()]
  return "\n".join(lines), figures


def _with_interval(scores, name):
  return "{:.3f} ({:.3f} to {:.3f})".format(scores[name], *scores["intervals"][name])
