"""Fine-tuning from start to finish: data, epochs, plateau, early stopping, best epoch, test scores.

A run is a function of its config alone: the order of the data and every crop follow from (seed, epoch), so a run that
was killed goes on from its last checkpoint to the same parameters, bit for bit on CPU.
"""

import json
from contextlib import nullcontext
from pathlib import Path

import jax
import numpy as np
from flax.training.early_stopping import EarlyStopping
from sklearn.metrics import f1_score

from fakeface_jax.config_fields import FINE_TUNING, check_config
from fakeface_jax.data.checking.check import first_look
from fakeface_jax.data.faces.framing import keep_framing
from fakeface_jax.data.reading.records import record_name
from fakeface_jax.data.splits import RunSplits
from fakeface_jax.devices import check_batch_size, replicate
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.predict import make_predict_step, predict_split
from fakeface_jax.evaluation.probability import cross_entropy, probability_of_fake
from fakeface_jax.evaluation.scores import scores
from fakeface_jax.models import init_variables, make_model
from fakeface_jax.models.pretrained import load_pretrained
from fakeface_jax.training.checkpoints import Checkpoints
from fakeface_jax.training.epochs import make_epochs, train_crop
from fakeface_jax.training.logs import Logs
from fakeface_jax.training.loop import Loop
from fakeface_jax.training.optimizer import (
  first_trained_cut,
  make_optimizer,
  make_plateau,
  merge_params,
  split_params,
  trainable_mask,
)
from fakeface_jax.training.processes import wait_for_all
from fakeface_jax.training.steps import TrainState, make_tail_step, zero_totals
from fakeface_jax.training.stopwatch import Stopwatch
from fakeface_jax.training.trunk import Trunk
from fakeface_jax.workdir import SECONDS_FILE, claim_workdir, held, write_whole


def train(config, workdir):
  """Trains a detector and scores it on the test split.

  Args:
    config: as `configs/resnet.py` returns it.
    workdir: folder of the run; where it holds an unfinished run of the same config, that one goes on.
  Returns: (the scores, as `evaluation.scores.scores`, which are in `test_metrics.json` too, for a test on other data
    with "seen_in_training" as of `RunSplits.seen`; the files that the data sets had to leave out, (name, reason)).
  Raises: UserError for what the user can mend, a loss that is no longer finite among it.
  """
  main = jax.process_index() == 0
  check_config(config, FINE_TUNING)
  check_batch_size(config.batch_size)
  model = make_model(config.model)
  with Stopwatch() as stopwatch, held(workdir) if main else nullcontext():
    with stopwatch("data set"):
      if main:
        claim_workdir(workdir, config)
        RunSplits(config).prepare()
      wait_for_all("data set prepared")
      data = RunSplits(config)
      splits = {use: data[use] for use in ("val", "test")} | {"train": data.for_training()}
      check_splits(splits)
      if main:
        first_look(splits["train"], workdir)
        keep_framing(splits["train"], workdir)
    with Checkpoints(workdir) as checkpoints, Logs(workdir, enabled=main) as logs:
      with stopwatch("network"):
        run = FineTuning(config, model, splits, checkpoints, logs, stopwatch)
      unfinished = not run.finished
      if unfinished:
        run.prepare(workdir, data.fingerprint)
        run.fit()
      with stopwatch("test"):
        other_data = main and data.dataset("test") is not data.dataset("train")
        seen = {"seen_in_training": data.seen(splits["test"])} if other_data else {}
        test_scores = run.test(run.best_variables(), workdir if main else None, seen)
    if main and (unfinished or not (Path(workdir) / SECONDS_FILE).exists()):
      stopwatch.write(workdir)
  return test_scores, data.unreadable


def check_splits(splits):
  """Raises UserError where a split is too small, or has one class only, to train or choose an epoch on."""
  for use, source in splits.items():
    if use != "test" and not has_both_classes(source):
      raise UserError(
          f"the {use} split has {len(source)} images but not both classes; add images, make the splits yourself"
          f" (train/, val/, test/, each with real/ and fake/), or choose another with config.data.{use}_split")
  if len(splits["train"]) < jax.device_count():
    raise UserError(
        f"{len(splits['train'])} training images are fewer than the {jax.device_count()} devices; use more images or"
        f" fewer devices")


def has_both_classes(source):
  """Whether there is an image of each; looks no further than needed."""
  first = source[0]["label"]
  return any(source[i]["label"] != first for i in range(1, len(source)))


class FineTuning(Loop):
  """One run: what trains of a network, on images or on what the frozen trunk made of them."""

  def __init__(self, config, model, splits, checkpoints, logs, stopwatch):
    super().__init__(config, len(splits["train"]), checkpoints, logs, stopwatch)
    self.model, self.splits = model, splits
    variables = init_variables(model, jax.random.key(config.seed), config.data.crop)
    self.variables_like = jax.tree.map(np.asarray, variables)
    mask = trainable_mask(model, variables["params"], config.trainable)
    tx = make_optimizer(config.learning_rate, mask)
    self.plateau = make_plateau(config.plateau.factor, config.plateau.patience)
    self.early_stopping = EarlyStopping(patience=config.early_stopping_patience)

    training = {
        "opt_state": tx.init(variables["params"]), "totals": zero_totals(),
        "plateau": self.plateau.init(variables["params"])} | ({"now": variables} if config.get("ema_decay") else {})
    saved, progress = self.resume({"variables": variables, "training": training})
    if saved is not None:
      variables, training = saved["variables"], saved["training"]
      self.early_stopping = self.early_stopping.replace(**progress["early_stopping"])
    elif config.pretrained:
      variables = load_pretrained(config.pretrained, variables)
    now = variables if saved is None else training.get("now", variables)
    params, frozen = split_params(now["params"], mask)
    self.frozen, self.plateau_state = replicate(frozen), training["plateau"]
    self.state = TrainState(params, now["batch_stats"], training["opt_state"], training["totals"])
    if config.get("ema_decay"):
      average = {"params": split_params(variables["params"], mask)[0], "batch_stats": variables["batch_stats"]}
      self.state = self.state.replace(average=jax.tree.map(np.array, average))  # copies: the steps donate the state
    self.logs.start(self.history, outline(config, model, splits, mask, params, frozen))

    cut = first_trained_cut(model, mask)
    self.trunk = None
    if cut != model.cuts[0]:  # copies: the steps donate the state, statistics among it
      self.trunk = Trunk(model, cut, jax.tree.map(np.array, variables), train_crop(config.data))
    self.tail_step = make_tail_step(model, tx, mask, config.get("ema_decay", 0.0), config.get("label_smoothing", 0.0))

  def prepare(self, workdir, fingerprint):
    """Makes, or finds, what the epochs go over; see `epochs.make_epochs`."""
    with self.stopwatch("features"):
      self.epochs = make_epochs(
          self.config, self.model, self.splits, self.tail_step, self.trunk, workdir, fingerprint)

  @property
  def finished(self):
    return super().finished or self.early_stopping.should_stop

  def learning_rate(self):
    return self.config.learning_rate * float(self.plateau_state.scale)

  def steps(self, epoch, first):
    for state, step in self.epochs.run(self.state, self.frozen, epoch, first):
      self.state = state
      yield step

  def judge(self, totals):
    logits, labels = self.epochs.validate(self.variables())
    val_loss = cross_entropy(logits, labels)
    _, self.plateau_state = self.plateau.update({}, self.plateau_state, value=np.float32(val_loss))
    self.early_stopping = self.early_stopping.update(val_loss)
    predicted = logits.argmax(-1)
    return {
        "train_loss": totals["loss"] / totals["count"],
        "train_accuracy": totals["correct"] / totals["count"],
        "val_loss": val_loss,
        "val_accuracy": float(np.mean(predicted == labels)),
        "val_f1_macro": float(f1_score(labels, predicted, average="macro", labels=[0, 1], zero_division=0)),
    }

  def describe(self, row):
    return (
        f"train loss {row['train_loss']:.4f} acc {row['train_accuracy']:.3f}"
        f"  val loss {row['val_loss']:.4f} acc {row['val_accuracy']:.3f} F1 {row['val_f1_macro']:.3f}"
        f"  lr {row['learning_rate']:.1e}  {row['images_per_second']:,.0f} images/s"
        f"{'  best' if self.early_stopping.has_improved else ''}")

  def arrays(self):
    training = {"opt_state": self.state.opt_state, "totals": self.state.totals, "plateau": self.plateau_state}
    if self.state.average is not None:
      training["now"] = self._merged(self.state.params, self.state.batch_stats)
    return {"variables": self.variables(), "training": training}

  def progress(self):
    names = ("best_metric", "patience_count", "should_stop")
    return {"early_stopping": {name: getattr(self.early_stopping, name) for name in names}}

  def variables(self):
    """All variables that are judged and kept: as they stand now, or their average."""
    return self._merged(**(self.state.average or {"params": self.state.params, "batch_stats": self.state.batch_stats}))

  def _merged(self, params, batch_stats):
    return {"params": merge_params(params, self.frozen), "batch_stats": batch_stats}

  def best_variables(self):
    """Variables of the epoch with the lowest validation loss."""
    return self.checkpoints.restore(self.checkpoints.best, {"variables": self.variables_like})["variables"]

  def test(self, variables, workdir, seen):
    """Scores on the test split, and `seen`; with `workdir` also written there, with each image's probability."""
    data, source = self.config.data, self.splits["test"]
    logits, labels = predict_split(
        make_predict_step(self.model), variables, source, batch_size=self.config.batch_size, resize=data.resize,
        crop=data.crop, title="testing" if self.logs.enabled else None)
    probabilities = probability_of_fake(logits)
    result = scores(labels, probabilities) | seen
    if workdir is not None:
      lines = [
          json.dumps({
              "path": record_name(source[i]), "record": i, "label": int(labels[i]),
              "probability": float(probabilities[i])})
          for i in range(len(source))]
      write_whole(Path(workdir) / "test_predictions.jsonl", "\n".join(lines) + "\n")
      write_whole(Path(workdir) / "test_metrics.json", json.dumps(result, indent=2) + "\n")
    return result


def outline(config, model, splits, mask, params, frozen):
  """The run in a few lines, for the log."""
  size = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
  cut = first_trained_cut(model, mask)
  trunk = "nothing is frozen" if cut == model.cuts[0] else f"frozen up to {cut}"
  images = ", ".join(f"{len(source):,} {use}" for use, source in splits.items())
  other, crop = config.data.get("test_name"), train_crop(config.data)
  smaller = "" if crop == config.data.crop else f", trained on squares of {crop} px"
  name = f"{config.data.name}, tested on {other}" if other else config.data.name
  return (
      f"{model.title} from {config.pretrained or 'scratch'}, trainable={config.trainable}: {trunk},"
      f" {size(params):,} of {size(params) + size(frozen):,} parameters train\n"
      f"{name}: {images} images at {config.data.crop} px{smaller}; batches of {config.batch_size} on"
      f" {jax.device_count()} {jax.devices()[0].device_kind} device(s)")
