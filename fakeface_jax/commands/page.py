"""Opening the page: in a browser, or inside the cell of a notebook."""

import webbrowser

from fakeface_jax.commands import surroundings
from fakeface_jax.page.answers import Answers
from fakeface_jax.page.app import import_gradio, launch, make_page
from fakeface_jax.verdict.conformal import CONFIDENCE
from fakeface_jax.workdir import read_config


def open_page(workdir, confidence=CONFIDENCE, *, port=None, share=False, browser=True):
  """Serves the page of a run's detector, until Ctrl-C; from a notebook, until its kernel ends.

  Raises: UserError where the run cannot be loaded, gradio is missing, or the port in use.
  """
  import_gradio()
  answers = Answers(workdir, confidence)
  data = read_config(workdir).data
  trained_on = data.get("path") or data.get("name") or "data of others"
  title = f"{answers.detector.model.title} trained on {trained_on}, {workdir}"
  page = make_page(answers, title)
  address = launch(page, port=port, share=share)
  print(f"the page is at {address}", flush=True)
  if surroundings.in_ipython():
    return
  if browser:
    webbrowser.open(address)
  print("Ctrl-C ends it", flush=True)
  page.block_thread()
