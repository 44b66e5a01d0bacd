"""What is taken along of an answer: the panel, the maps, and a report that is one file."""

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.outputs import unique_stems
from fakeface_jax.page import words


def write_files(answers, answer, number, folder):
  """Writes the three files of a face into a folder.

  Returns: the paths of the panel (PNG), the maps (NPZ), the report (HTML).
  """
  (stem,) = unique_stems([answer.name])
  panel, maps, report = (folder / f"{stem}.{kind}" for kind in ("panel.png", "maps.npz", "report.html"))
  panel.write_bytes(encode_image(answers.panel(answer, number), "PNG", compress_level=1))
  np.savez_compressed(maps, **answers.arrays(answer, number))
  report.write_text(render_report(answers, answer, number, panel.read_bytes()), encoding="utf-8")
  return panel, maps, report


def render_report(answers, answer, number, panel):
  """The report of a face, one HTML file without any outside request. Args: `panel`: its PNG."""
  templates = Environment(
      loader=PackageLoader("fakeface_jax.page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
      lstrip_blocks=True)
  look = answer.looks[number]
  picture, name = answers.map(answer, number, "gradcam")
  return templates.get_template("report.html.j2").render(
      answer=answer, number=number, faces=len(answer.looks), judgement=look.judgement,
      heading=words.HEADINGS[look.judgement.verdict], card=words.card(look.judgement),
      view=words.view(answer, number, picture, f"The photograph with {name} over the face"), map=name,
      panel=words.data_uri(panel, "png"), neighbours=words.neighbours(look.judgement), facts=words.facts(answer),
      made=answers.made(answer, number), style=words.STYLE)
