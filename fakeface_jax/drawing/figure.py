"""Matplotlib as a library: figures of their own, whatever back end a notebook has or wants."""

import contextlib
import os
import sys

from fakeface_jax.workdir import whole_file


def import_matplotlib():
  """Imports it, also where MPLBACKEND names a back end that it does not know, which figures in files do not need."""
  backend = os.environ.pop("MPLBACKEND", None) if "matplotlib" not in sys.modules else None
  import matplotlib

  if backend is not None:
    os.environ["MPLBACKEND"] = backend
    with contextlib.suppress(ValueError):  # pyplot says so to whoever uses it
      matplotlib.rcParams["backend"] = backend  # as it does itself; nothing is loaded by it


def new_figure(**options):
  """An empty `matplotlib.figure.Figure`, unknown to pyplot; `options` as it takes them."""
  import_matplotlib()
  from matplotlib.figure import Figure

  return Figure(**options)


def save_figure(figure, path, **options):
  """Writes a figure as PNG; `options` as `Figure.savefig` takes them."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg

  FigureCanvasAgg(figure)
  with whole_file(path) as partial:
    figure.savefig(partial, format="png", **{"dpi": 110, **options})
