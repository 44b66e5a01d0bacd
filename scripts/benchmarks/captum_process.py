"""captum in a process of its own: with PyTorch in the same one, our calls took half as long again."""

import multiprocessing


class CaptumProcess:
  """Calls the methods of a `CaptumReference` in another process; a context manager.

  Args:
    depth, tensors: the network and its state dict.
  """

  def __init__(self, depth, tensors):
    context = multiprocessing.get_context("spawn")
    self._connection, theirs = context.Pipe()
    self._process = context.Process(target=_serve, args=(theirs, depth, tensors), daemon=True)
    self._process.start()
    self.about = self._connection.recv()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._connection.send(None)
    self._process.join()

  def send(self, *batch):
    """Keeps a batch (images, target, layers) there, so that sending it is not timed."""
    self._connection.send(("batch", batch))

  def __call__(self, name, answer=False):
    """Calls 'logits' or 'article_set' on that batch; returns its maps only where they are asked for."""
    self._connection.send((name, answer))
    return self._connection.recv()


def _serve(connection, depth, tensors):
  import captum
  import torch

  from benchmarks.captum_reference import CaptumReference
  from benchmarks.torch_resnet import from_state_dict

  device = "cuda" if torch.cuda.is_available() else "cpu"
  reference = CaptumReference(from_state_dict(depth, tensors).to(device))
  connection.send({"torch": torch.__version__, "captum": captum.__version__, "device": device})
  while (message := connection.recv()) is not None:
    name, argument = message
    if name == "batch":
      images, target, layers = argument
    else:
      maps = reference.logits(images) if name == "logits" else reference.article_set(images, target, layers)
      connection.send(maps if argument else None)
