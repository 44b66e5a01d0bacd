"""The page's answers as HTML. Every text that comes from a file, or a run, is escaped."""

import base64

from markupsafe import Markup

from fakeface_jax.data.reading import file_facts
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.drawing.numerals import chance

WELCOME = "Drop a photograph here. It stays on this machine."
GONE = "This photograph is not kept any more; drop it again."
DOWNLOADS = ("Panel (PNG)", "Maps (NPZ)", "Report (HTML)")
HEADINGS = {"fake": "Fake", "real": "Real", "cannot tell": "Cannot tell"}
NO_FACE = "No face was found in this photograph."
WHOLE = "Judge the whole picture"
CAUTION = (
    "A detector is wrong at times, and knows only the kind of fake that it was trained on. Judge nobody by it.")
STYLE = """
.ff-card { border-left: 6px solid var(--ff, #777); padding: .6em 1em; background: var(--background-fill-secondary); }
.ff-card h2 { margin: 0 0 .2em; font-size: 1.5em; }
.ff-card p { margin: .3em 0; }
.ff-fake { --ff: #b3261e; } .ff-real { --ff: #1f6fb2; } .ff-untold { --ff: #8a6d00; }
.ff-view { position: relative; line-height: 0; max-width: 100%; }
.ff-view img { width: 100%; height: auto; display: block; }
.ff-view img + img { position: absolute; inset: 0; opacity: var(--ff-strength, .8); }
.ff-view svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.ff-view rect { fill: none; stroke: #fff; stroke-width: 2px; vector-effect: non-scaling-stroke; paint-order: stroke; }
.ff-view rect.ff-under { stroke: #000; stroke-width: 5px; }
.ff-view rect.ff-other { stroke-dasharray: 6 5; }
.ff-view text { fill: #fff; stroke: #000; stroke-width: .15em; paint-order: stroke; font-weight: bold; }
.ff-near { display: grid; grid-template-columns: repeat(4, 1fr); gap: .5em; margin: 0; padding: 0; list-style: none; }
.ff-near figure { margin: 0; } .ff-near img { width: 100%; image-rendering: auto; }
.ff-near figcaption { font-size: .8em; overflow-wrap: anywhere; }
.ff-facts { margin: 0; padding-left: 1.2em; overflow-wrap: anywhere; } .ff-small { font-size: .85em; }
footer { display: none !important; }
"""


def data_uri(content, kind):
  """Bytes of an image, within a page."""
  return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def heading(title):
  """What stands above all."""
  return Markup("<h1>Is this face fake?</h1><p>{}</p>").format(title)


def choices(answer):
  """[(what is to be read, number)] of the faces."""
  return [(f"Face {i + 1}: {HEADINGS[look.judgement.verdict].lower()}", i) for i, look in enumerate(answer.looks)]


def card(judgement):
  """The verdict on a face."""
  kind = {"cannot tell": "untold"}.get(judgement.verdict, judgement.verdict)
  return Markup(
      '<div class="ff-card ff-{kind}" role="status"><h2>{heading}</h2><p>{why}</p>'
      '<p class="ff-small">Probability of fake {chance}. {caution}</p></div>').format(
          kind=kind, heading=HEADINGS[judgement.verdict], why=judgement.why, chance=chance(judgement.probability),
          caution=CAUTION)


def sentence(text):
  """What went wrong, or what there is to do, where a verdict would stand."""
  return Markup('<div class="ff-card ff-untold" role="status"><p>{}</p></div>').format(text)


def view(answer, number, layer, alternative):
  """The photograph, a map over it (PNG with transparency, or None), the box of each face."""
  width, height = answer.size
  boxes = Markup("").join(
      Markup('<rect class="{kind}" x="{0:.1f}" y="{1:.1f}" width="{2:.1f}" height="{2:.1f}"/>').format(
          *look.part, kind=kind)
      for i, look in enumerate(answer.looks)
      for kind in ("ff-under", "" if i == number else "ff-other"))
  if len(answer.looks) > 1:
    boxes += Markup("").join(
        Markup('<text x="{:.1f}" y="{:.1f}" font-size="{:.1f}" dx=".3em" dy="1.1em">{}</text>').format(
            look.part[0], look.part[1], max(max(width, height) / 30, look.part[2] / 8), i)
        for i, look in enumerate(answer.looks, 1))
  over = Markup('<img alt="" src="{}">').format(data_uri(layer, "png")) if layer else ""
  return Markup(
      '<div class="ff-view"><img alt="{alternative}" src="{photograph}">{over}<svg viewBox="0 0 {width} {height}"'
      ' aria-hidden="true">{boxes}</svg></div>').format(
          alternative=alternative, photograph=data_uri(answer.jpeg, "jpeg"), over=over, width=width, height=height,
          boxes=boxes)


def neighbours(judgement):
  """The training images that are most alike."""
  if not judgement.neighbours:
    return Markup("<p>What this detector was trained on is not kept with it, so nothing can be compared.</p>")
  return Markup('<ul class="ff-near">{}</ul>').format(Markup("").join(
      Markup('<li><figure><img alt="A {label} face of the training images" src="{picture}">'
             '<figcaption>{label}<br>{name}</figcaption></figure></li>').format(
                 label=near.label, name=near.name, picture=data_uri(encode_image(near.thumbnail, "PNG"), "png"))
      for near in judgement.neighbours))


def facts(answer):
  """What the file says of itself."""
  return Markup('<ul class="ff-facts">{}</ul>').format(
      Markup("").join(Markup("<li>{}</li>").format(line) for line in file_facts.in_words(answer.facts)))
