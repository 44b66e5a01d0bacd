"""Builds a hard set: faces of both classes, cropped, resized and encoded alike, without near-duplicates.

python scripts/collect.py --out hard --real unsplash:portrait --fake url:https://SITE/ADDRESS --count 500
python scripts/collect.py --out hard --real folder:/my/photos --fake folder:/my/fakes --against /my/training/set

Interrupted, the same command goes on. Delete pictures you do not like: the same command takes others for them. The
terms of a service are yours to read and to keep: Unsplash's guidelines, as of this writing, speak against automated
use, data mining and training AI models.
"""

from fakeface_jax.commands import app  # isort: split

import sys

from fakeface_jax.commands.app import flags

OUT = flags.DEFINE_string("out", None, "Folder for real/, fake/, data.csv, MANIFEST.csv and the rest.", required=True)
REAL = flags.DEFINE_multi_string(
    "real", [], "Where real faces come from: unsplash:QUERY, url:https://... or folder:PATH; may be repeated")
FAKE = flags.DEFINE_multi_string("fake", [], "Where fake faces come from, likewise")
COUNT = flags.DEFINE_integer("count", 500, "Faces of each class.", lower_bound=1)
SIZE = flags.DEFINE_integer("size", 300, "Side of the pictures, pixels.", lower_bound=32)
AGAINST = flags.DEFINE_string("against", None, "A training set's folder: none of its pictures shall come in.")
DELAY = flags.DEFINE_float("delay", 2.0, "Seconds between two requests to a url: address.", lower_bound=0)
KEY = flags.DEFINE_string("key", None, "Unsplash access key (better: the environment variable UNSPLASH_ACCESS_KEY).")
API = flags.DEFINE_string("api", "https://api.unsplash.com", "Base address of Unsplash's API.")


def main(arguments):
  app.no_positional(arguments)
  from fakeface_jax.data.collect.collection import collect
  from fakeface_jax.drawing.collection_sheet import draw_collection_sheet

  result = collect(
      OUT.value, {"real": REAL.value, "fake": FAKE.value}, COUNT.value, size=SIZE.value, against=AGAINST.value,
      delay=DELAY.value, key=KEY.value, api=API.value)
  sheet = draw_collection_sheet(OUT.value)
  print(f"{OUT.value}: {result.kept['real']} real, {result.kept['fake']} fake; look at {sheet}")
  if result.left_out:
    reasons = ", ".join(f"{number} {reason}" for reason, number in result.left_out.items())
    print(f"left out: {reasons}; each with its source in {OUT.value}/left_out.csv")
  for sentence in result.stopped:
    print(f"stopped: {sentence}", file=sys.stderr)
  return app.exit_code(result.unreadable) or int(bool(result.stopped))


if __name__ == "__main__":
  app.run(main)
