"""Does a map mark what the verdict rests on? Measured without masks, on the network itself.

Pixels are deleted in the order in which a map marks them (deletion), or all others are (insertion), and the probability
of fake is followed (RISE: Petsiuk et al., 2018, section 4.3). If the map is right it falls, or rises, early.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from fakeface_jax.data.schema import FAKE
from fakeface_jax.devices import AXIS
from fakeface_jax.evaluation.intervals import mean_interval
from fakeface_jax.evaluation.localization import FEW, name_of
from fakeface_jax.evaluation.placement import INSIDE, centred_gaussian, enlarged, moved
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.explain.fill import fill_images
from fakeface_jax.explain.inpaint import inpaint
from fakeface_jax.explain.noisy_linear import impute
from fakeface_jax.models.network import normalize

# Dense at the start, where a good map's curve bends and where forged regions end: a part of a face takes up 2 to 10 %.
FRACTIONS = (0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.55, 0.8, 1)
KINDS = ("deletion", "insertion")
FILLS = {"inpaint": "painted in from the pixels that are left", "blur": "replaced by the blurred photograph"}
ROAD = "road"  # a fill that takes too long for all curves: the noisy linear imputation of ROAD
RANDOM = ("random", "random patches")
CENTRE = "centre"
PATCHES = 7  # a side, of the coarse random order: as many as the last stage's maps have at 224 px


def baseline_maps(count, side):
  """Orders that know nothing of the network, as maps: {title: float32[count, h, w]}.

  'random' is of single pixels; 'random patches' of areas as large as those that coarse heatmaps mark, for what is left
  around a single pixel still tells what it was; 'centre' is `placement.centred_gaussian`, for faces stand there.
  """
  random = np.random.default_rng(0)
  return {
      RANDOM[0]: random.random((count, side, side), np.float32),
      RANDOM[1]: random.random((count, PATCHES, PATCHES), np.float32),
      CENTRE: np.broadcast_to(np.asarray(centred_gaussian(side), np.float32), (count, side, side))}


def pixel_ranks(maps, size):
  """The place of every pixel in the order in which the maps mark them, int32[N, *size], from 0 (the most).

  Equal values follow each other in a random order, the same for all maps: else what a coarse map leaves at zero would
  go from top to bottom. The maps, float32[N, h, w] >= 0, are brought to the size by `placement.enlarged`.
  """
  chance = np.random.default_rng(0).permutation(size[0] * size[1])
  ranks = np.empty((len(maps), len(chance)), np.int32)
  for of_image, values in zip(ranks, maps, strict=True):
    of_image[np.lexsort((chance, -enlarged(values, size).ravel()))] = np.arange(len(chance))
  return ranks.reshape(len(maps), *size)


def faithfulness_of_map(detector, pixels, maps, ends=None, fills=tuple(FILLS), kinds=KINDS):
  """The curves of one map of each of N images, one or more: 28 network evaluations an image, and 3 for the ends.

  Args:
    pixels: uint8[N, crop, crop, 3], of a `Seen`.
    maps: float32[N, h, w] >= 0, as `placement.rectified` returns them; where one is zero everywhere the order is
      random.
    ends: what `curve_ends` returns for these images, which is the same for all maps; computed here without it.
  Returns: {"deletion": {fill: float64[N, F]}, "insertion": the same}: the probability of fake where the share
    `FRACTIONS` of the pixels, those marked most, is deleted, or alone is kept. `FILLS` says what stands in for others.
  """
  ends = curve_ends(detector, pixels, fills) if ends is None else ends
  count, size = len(pixels), pixels[0, ..., 0].size
  ranks = pixel_ranks(maps, pixels.shape[1:3])
  cuts = [round(fraction * size) for fraction in FRACTIONS[1:-1]]
  kept = {"deletion": [(cut, size) for cut in cuts], "insertion": [(0, cut) for cut in cuts]}
  curves = {kind: {} for kind in kinds}
  for fill in fills:
    inner = _probabilities(detector, fill, pixels, ranks, [cut for kind in kinds for cut in kept[kind]])
    whole, nothing = (ends[name].reshape(count, 1) for name in ("untouched", fill))
    for number, kind in enumerate(kinds):
      of_kind = inner[:, number * len(cuts) : (number + 1) * len(cuts)]
      first, last = (whole, nothing) if kind == "deletion" else (nothing, whole)
      curves[kind][fill] = np.hstack([first, of_kind, last])
  return curves


def curve_ends(detector, pixels, fills=tuple(FILLS)):
  """What all curves of these images begin or end with: {"untouched", fill: all deleted}, float64[N] each."""
  nothing = np.zeros(pixels.shape[:3], np.int32)
  deleted = {fill: _probabilities(detector, fill, pixels, nothing, [(0, 0)])[:, 0] for fill in fills}
  return {"untouched": probability_of_fake(detector.engine.logits(pixels)), **deleted}


def probability_without(detector, pixels, removed):
  """Probability of fake, float64[N], of pictures uint8[N, crop, crop, 3] with bool[N, crop, crop] painted in."""
  return _probabilities(detector, "inpaint", pixels, (~removed).astype(np.int32), [(1, 2)])[:, 0]


def painted_over(detector, pixels, masks, seed=0):
  """Probability of fake with the changed region painted in, and with the same shape elsewhere.

  Args: `pixels`: as of `probability_without`; masks: uint8[N, crop, crop], see `placement`.
  Returns: {"inside", "elsewhere": float64[N]}.
  """
  removed = {"inside": masks == INSIDE, "elsewhere": moved(masks, seed)}
  return {name: probability_without(detector, pixels, of) for name, of in removed.items()}


def fake_logits_without(detector, pixels, removed):
  """Logit of fake, float32[N, K], of pictures uint8[N, crop, crop, 3] with each of bool[K, crop, crop] painted in."""
  ranks = [np.broadcast_to((~one).astype(np.int32), pixels.shape[:3]) for one in removed]
  several = [_logits_kept(detector, "inpaint", pixels, of_one, [(1, 2)]) for of_one in ranks]
  return np.concatenate(several, axis=1)[..., FAKE]


def _probabilities(detector, fill, pixels, ranks, kept):
  """Probability of fake, float64[N, K], of what `_logits_kept` gives."""
  return probability_of_fake(_logits_kept(detector, fill, pixels, ranks, kept).reshape(-1, 2)).reshape(
      len(pixels), len(kept))


def _logits_kept(detector, fill, pixels, ranks, kept):
  """Logits, float32[N, K, 2], where of each image the pixels of rank low <= rank < high are kept.

  Batches are filled up across images and cuts, and split over all local devices.

  Args: `kept`: the K pairs (low, high).
  """
  mesh = jax.make_mesh((jax.local_device_count(),), (AXIS,), devices=jax.local_devices())
  placed = lambda values, *axes: jax.device_put(values, NamedSharding(mesh, PartitionSpec(*axes)))
  variables, batch_size = placed(detector.variables), detector.engine.batch_size
  images, cuts = (index.ravel() for index in np.indices((len(pixels), len(kept))))
  logits = []
  for start in range(0, len(images), batch_size):
    jobs = np.minimum(np.arange(start, start + batch_size), len(images) - 1)
    low, high = np.asarray(kept, np.int32)[cuts[jobs]].T
    batch = placed((pixels[images[jobs]], ranks[images[jobs]], low, high), AXIS)
    logits.append(_logits(detector.model, fill, variables, *batch))
  return np.concatenate(jax.device_get(logits))[: len(images)].reshape(len(pixels), len(kept), -1)


@partial(jax.jit, static_argnames=("model", "fill"))
def _logits(model, fill, variables, pixels, ranks, low, high):
  images = normalize(pixels)
  keep = (ranks >= low[:, None, None]) & (ranks < high[:, None, None])
  if fill in ("inpaint", ROAD):
    return model.apply(variables, (impute if fill == ROAD else inpaint)(images, keep))
  return model.apply(variables, jnp.where(keep[..., None], images, fill_images(images, fill)))


def area_under(curves):
  """Mean of curves float[..., F] over the share of pixels, by the trapezoid: float[...]."""
  return np.trapezoid(curves, FRACTIONS, axis=-1)


def faithfulness(per_map, sanity):
  """Curves, areas and a verdict of all maps of the same images, ready for JSON.

  Args:
    per_map: [{"method", "title", "layer", **curves of `faithfulness_of_map`}], those of `baseline_maps` among them with
      the method None and their titles.
    sanity: as `evaluation.sanity.sanity`, or {"reason": why there is none}.
  Returns: a dict of `verdict`, in words; `images`; `fractions`; `fills` {fill: title}; `maps`, with `method`, `title`,
    `layer`, `sanity` (of the method: `same_when_random`, `depends_on_weights`; or None), and for `deletion` and
    `insertion` {fill: {"auc": [mean, low, high], "curve": means float[F]}}, and `gain` {baseline: {"deletion": {fill:
    [mean, low, high]}, "insertion": the same}}: how much lower, or higher, the area is than the baseline's on the same
    image, above 0 where the map is better; and `sanity` as given. Intervals are 95 % ones.
  """
  areas = [{kind: {fill: area_under(one[kind][fill]) for fill in FILLS} for kind in KINDS} for one in per_map]
  baselines = {one["title"]: of for one, of in zip(per_map, areas, strict=True) if one["method"] is None}
  checked = sanity.get("methods", {})
  maps = []
  for one, of in zip(per_map, areas, strict=True):
    row = {key: one[key] for key in ("method", "title", "layer")}
    for kind in KINDS:
      row[kind] = {fill: {"auc": mean_interval(of[kind][fill]), "curve": np.mean(one[kind][fill], axis=0).tolist()}
                   for fill in FILLS}
    row["gain"] = {} if one["method"] is None else {
        title: {kind: {fill: mean_interval(_gain(kind, of, baseline)[fill]) for fill in FILLS} for kind in KINDS}
        for title, baseline in baselines.items()}
    found = checked.get(one["method"])
    row["sanity"] = found and {key: found[key] for key in ("same_when_random", "depends_on_weights")}
    maps.append(row)
  images = len(areas[0]["deletion"]["inpaint"]) if areas else 0
  return {"verdict": _verdict(maps, areas, baselines, images), "images": images, "fractions": list(FRACTIONS),
          "fills": FILLS, "maps": maps, "sanity": sanity}


def _gain(kind, of, baseline):
  """{fill: float64[N]}: how much better the areas of a map are than those of a baseline."""
  sign = -1 if kind == "deletion" else 1
  return {fill: sign * (of[kind][fill] - baseline[kind][fill]) for fill in FILLS}


def _verdict(maps, areas, baselines, count):
  """Whether the best map does better than chance, as sentences.

  The best is chosen on every other image and measured on the rest: of many maps that are no better than chance, the
  best would look better on the images it was chosen on.
  """
  sane = lambda row: not row["sanity"] or row["sanity"]["depends_on_weights"]
  rivals = [i for i, row in enumerate(maps) if row["method"]]
  rivals = [i for i in rivals if sane(maps[i])] or rivals  # what shows the photograph does not answer for the network
  random = [title for title in RANDOM if title in baselines]
  if not rivals or not random or count < FEW:
    return f"Nothing can be said of {len(rivals)} maps of {count} images: it takes a map, and {FEW} images or more."
  choosing, judging = np.arange(0, count, 2), np.arange(1, count, 2)
  area = lambda of, images: of["deletion"]["inpaint"][images].mean()
  best = min(rivals, key=lambda i: area(areas[i], choosing))
  chance = min(random, key=lambda title: area(baselines[title], np.arange(count)))
  gain = {title: {fill: mean_interval(values[judging]) for fill, values in _gain("deletion", areas[best], of).items()}
          for title, of in baselines.items()}
  words = {RANDOM[0]: "pixels at random", RANDOM[1]: "patches at random", CENTRE: "the middle of the picture first"}
  surely = "lowers" if gain[chance]["inpaint"][1] > 0 else "does not surely lower"
  sentences = [
      f"Removing what {name_of(maps[best])} marks {surely} the probability of fake faster than removing"
      f" {words[chance]}: with the removed pixels painted in, it is {area(areas[best], judging):.2f} on average against"
      f" {area(baselines[chance], judging):.2f}, a gain of {_with_interval(gain[chance]['inpaint'])}; with them blurred"
      f" the gain is {_with_interval(gain[chance]['blur'])}."]
  if CENTRE in baselines:
    over_centre = gain[CENTRE]["inpaint"]
    how = "is surely slower" if over_centre[1] > 0 else "is surely faster" if over_centre[2] < 0 else "may do as well"
    sentences.append(f"Removing {words[CENTRE]} {how}: the gain over it is {_with_interval(over_centre)}.")
  if maps[best]["sanity"] and not maps[best]["sanity"]["depends_on_weights"]:
    sentences.append("But these maps hardly depend on what the network has learned: see the sanity check.")
  if len(rivals) > 1:
    sentences.append(f"This map was the best of {len(rivals)} on half of the images; the figures are of the others.")
  better = {title: sum(maps[i]["gain"][title]["deletion"]["inpaint"][1] > 0 for i in rivals)
            for title in (chance, CENTRE) if title in baselines}
  beats = " and ".join(f"{number} surely beat {words[title]}" for title, number in better.items())
  return " ".join([*sentences, f"On all {count} images, of {len(rivals)} maps {beats}."])


def _with_interval(values):
  return "{:.2f} (95 % interval {:.2f} to {:.2f})".format(*values)
