"""What one sees of a run: a line an epoch, `metrics.jsonl`, and TensorBoard event files."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

from tensorboardX import SummaryWriter

from fakeface_jax.workdir import write_whole


class Logs(AbstractContextManager):
  """Writers of a run, to be used as a context manager; `enabled=False` makes all of them silent."""

  def __init__(self, workdir, *, enabled=True):
    self.enabled, self._path = enabled, Path(workdir) / "metrics.jsonl"
    self._tensorboard, self._history = None, []

  def __exit__(self, *_):
    if self._tensorboard is not None:
      self._tensorboard.close()

  def start(self, history, description):
    """Begins, or takes up again after the epochs in `history`: what a killed run wrote beyond them goes."""
    if not self.enabled:
      return
    print(description, flush=True)
    self._history = list(history)
    self._write()
    self._tensorboard = SummaryWriter(str(self._path.parent / "tensorboard"), purge_step=len(history) + 1)

  def epoch(self, row, line):
    """One epoch's figures, {name: number}, and the line about it to print."""
    if not self.enabled:
      return
    self._history.append(row)
    self._write()
    for name, value in row.items():
      if name != "epoch":
        self._tensorboard.add_scalar(name, value, row["epoch"])
    self._tensorboard.flush()
    print(line, flush=True)

  def _write(self):
    write_whole(self._path, "".join(json.dumps(row) + "\n" for row in self._history))
