"""How well a map finds what was changed: its values against the mask of a fake, image by image, by five measures."""

import numpy as np
from PIL import Image

from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.explain.methods import ATTRIBUTION, HEATMAP, SENSITIVITY

UNKNOWN, INSIDE = 128, 255  # of a mask; 0 is outside
MEASURES = {
    "energy": "energy inside the mask", "pointing": "highest point inside the mask (pointing game)",
    "iou": "IoU of the mask and as many highest pixels",
    "rank_accuracy": "highest pixels inside the mask (rank accuracy)", "pixel_auc": "AUC of the pixels",
}
BASELINES = {  # maps that know nothing of a detector
    "chance": "chance", "centre": "a blob in the middle", "edges": "the edges of the picture"}
SHIFTS = 32  # that are tried
CENTRE_SIGMA = 0.25  # of the side; in expert-retouched face crops it has a third of its energy inside, chance a quarter


def rectified(kind, values):
  """Where a map points, and how strongly.

  Args:
    kind: of `explain.methods`: HEATMAP, taken as it is; SENSITIVITY, absolute values summed over the colours;
      ATTRIBUTION, summed over the colours where it has any, of which what adds to the target is kept.
    values: a raw map of one image or a batch, float[(N,) h, w] or, with colours, float[(N,) h, w, 3].
  Returns: float32[(N,) h, w], >= 0.
  Raises: ValueError for feature maps, which point at nothing.
  """
  values = np.asarray(values, np.float32)
  if kind == HEATMAP:
    return values
  if kind == SENSITIVITY:
    return np.abs(values).sum(-1)
  if kind == ATTRIBUTION:
    return np.maximum(values.sum(-1) if values.shape[-1] == 3 else values, 0)
  raise ValueError(f"maps of kind {kind!r} point nowhere; expected {HEATMAP}, {SENSITIVITY} or {ATTRIBUTION}")


def enlarged(values, shape):
  """A map float32[h, w] at the size (H, W), bilinear with pixel centres at +0.5, by Pillow, as panels draw it."""
  if values.shape == tuple(shape):
    return values
  return np.asarray(Image.fromarray(values).resize(shape[::-1], Image.Resampling.BILINEAR))


def why_unusable(mask):
  """Why nothing can be measured with a mask uint8[H, W], in a few words; None where it can."""
  known = mask != UNKNOWN
  if not known.any():
    return "no mask"
  if not np.isin(mask[known], (0, INSIDE)).all():
    return "a mask with other values than 0, 128 and 255"
  if not (mask == INSIDE).any():
    return "empty mask"
  return None if (mask == 0).any() else "nothing outside the mask"


def centred_gaussian(side):
  """What always points at the middle: float32[side, side], 1 at most, standard deviation `CENTRE_SIGMA` of the side."""
  place = (np.arange(side) + 0.5) / side - 0.5
  bell = np.exp(-0.5 * np.square(place / CENTRE_SIGMA))
  return np.float32(bell[:, None] * bell)


def placed(maps, masks):
  """How well maps find the masked region, image by image.

  Args:
    maps: float32[N, h, w], finite, >= 0, of any resolution; brought to the masks' by `enlarged`.
    masks: uint8[N, H, W], each usable (see `why_unusable`); pixels of 128 count nowhere.
  Returns: a dict of float64[N], all 0..1,
    energy: the share of the map's sum that is inside (energy-based pointing game, Wang et al., Score-CAM, 2020).
    pointing: whether its highest pixel is inside (Zhang et al., 2016, without their margin of 15 pixels); where several
      are, the share of them.
    iou: of the mask and as many highest pixels; of pixels that tie for the last places all are in it to an equal part.
    rank_accuracy: the share of these highest pixels that is inside (relevance rank accuracy: Arras et al., 2022).
      It orders the maps of an image as `iou` does, which is rank_accuracy / (2 - rank_accuracy).
    pixel_auc: how often a pixel inside is higher than one outside; ties count half.
  and "empty", bool[N]: the map is zero wherever the mask is known. It points nowhere, and is taken for a uniform one.
  Raises: ValueError for other shapes and values.
  """
  maps, masks = np.asarray(maps, np.float32), np.asarray(masks)
  if maps.ndim != 3 or masks.ndim != 3 or len(maps) != len(masks):
    raise ValueError(f"expected maps[N, h, w] and masks[N, H, W], got {maps.shape} and {masks.shape}")
  if not (np.isfinite(maps).all() and maps.min(initial=0) >= 0):
    raise ValueError("maps: expected finite values >= 0; see rectified")
  rows = list(in_order(lambda pair: _placed(*pair), zip(maps, masks, strict=True)))
  table = np.array(rows, np.float64).reshape(len(maps), len(MEASURES) + 1)
  return dict(zip(MEASURES, table.T[:-1], strict=True)) | {"empty": table[:, -1] > 0}


def _placed(values, mask):
  reason = why_unusable(mask)
  if reason:
    raise ValueError(f"{reason}: leave such an image out")
  values, known = enlarged(values, mask.shape), mask != UNKNOWN
  values, inside = values[known], mask[known] == INSIDE
  total, area = values.sum(dtype=np.float64), inside.mean()
  energy = values[inside].sum(dtype=np.float64) / total if total else area
  # Floats >= 0 are ordered as their bits are. Without the sign (also that of -0) there is room to carry the mask along:
  # sorting such integers is more than twice as fast as sorting by an index.
  ranked = np.sort(values.view(np.uint32) << 1 | inside)
  heights = ranked >> 1
  ends = np.append(np.flatnonzero(heights[1:] != heights[:-1]) + 1, len(ranked))  # of runs of equal values, ascending
  count = np.diff(ends, prepend=0)
  up_to = np.cumsum((ranked & 1).astype(bool), dtype=np.int64)[ends - 1]
  hits = np.diff(up_to, prepend=0)
  misses = count - hits
  size = up_to[-1]
  wins = np.sum(hits * (ends - up_to - misses / 2))  # `ends - up_to` counts the outside pixels that are not above
  last = np.searchsorted(ends, len(ranked) - size, side="right")  # the run that has the last of the `size` highest
  part = (size - (len(ranked) - ends[last])) / count[last]
  common = size - up_to[last] + part * hits[last]
  pixel_auc = wins / (size * (len(ranked) - size))
  return energy, hits[-1] / count[-1], common / (2 * size - common), common / size, pixel_auc, total == 0


def edge_map(pixels):
  """How steep a picture uint8[H, W, 3] is: float32[H, W], Sobel's gradient magnitude of its mean grey value, >= 0.

  Many methods find what was changed no better than it does (Clark et al., XAI-TRIS, 2023).
  """
  from skimage.filters import sobel  # slow to import

  return np.float32(sobel(pixels.mean(-1)))


def baseline_measures(masks, pixels):
  """What masks uint8[N, H, W] of pictures uint8[N, H, W, 3] give without any detector: {of `BASELINES`: `placed`}.

  Of a uniform map, of a blob in the middle, and of each picture's `edge_map`.
  """
  count, height, width = masks.shape
  blob = enlarged(centred_gaussian(max(height, width)), (height, width))
  edges = np.stack([edge_map(one) for one in pixels]) if count else np.zeros(masks.shape, np.float32)
  maps = {"chance": np.broadcast_to(np.float32(1), (count, 1, 1)), "centre": np.broadcast_to(blob, masks.shape),
          "edges": edges}
  return {name: placed(of, masks) for name, of in maps.items()}


def moved(masks, seed=0):
  """The same shapes elsewhere: bool[N, H, W] of masks, what is inside shifted to where it overlaps itself least.

  Of `SHIFTS` random shifts, around the edges of the picture, each mask gets the best.
  """
  rng, inside = np.random.default_rng(seed), masks == INSIDE
  result = np.empty_like(inside)
  for one, out in zip(inside, result, strict=True):
    shifted = [np.roll(one, rng.integers(one.shape), (0, 1)) for _ in range(SHIFTS)]
    out[:] = min(shifted, key=lambda other, one=one: np.sum(one & other))
  return result
