"""Opens a page on this machine for one photograph at a time: its faces, verdicts, maps, and what the file says.

python scripts/page.py [--workdir runs/NAME]
"""

from fakeface_jax.commands import app  # isort: split

from fakeface_jax.commands.app import flags

WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run (default: the last one below runs/).")
CONFIDENCE = flags.DEFINE_float(
    "confidence", 0.9, "How often a verdict's set holds the truth.", lower_bound=0.5, upper_bound=0.999)
PORT = flags.DEFINE_integer("port", None, "Port (default: the first that is free from 7860 on).", 1, 65535)
BROWSER = flags.DEFINE_bool("browser", True, "Open a browser.")
SHARE = flags.DEFINE_bool("share", False, "Let gradio make a public link; photographs then leave this machine.")


def main(arguments):
  app.no_positional(arguments)
  from fakeface_jax.commands.page import open_page
  from fakeface_jax.models.hub_runs import chosen_run

  open_page(
      chosen_run(WORKDIR.value), CONFIDENCE.value, port=PORT.value, share=SHARE.value, browser=BROWSER.value)


if __name__ == "__main__":
  app.run(main)
