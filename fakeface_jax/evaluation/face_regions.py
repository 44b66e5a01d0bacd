"""Which parts of a face a map looks at, and which a verdict rests on: for fakes that no mask tells more of.

The regions are outlined around landmarks as `data.forging.regions` does it. Every pixel belongs to exactly one.
"""

from collections import Counter

import numpy as np

from fakeface_jax.data.forging.landmarks import find_points
from fakeface_jax.data.forging.regions import region_outline
from fakeface_jax.data.schema import REGIONS
from fakeface_jax.evaluation.intervals import mean_intervals
from fakeface_jax.evaluation.localization import LEAST_DROP
from fakeface_jax.evaluation.placement import enlarged

# In the order in which they get their pixels: parts before the face that holds them, the face before the hair around
# it. What is left (neck, clothes and long hair, too) is background.
FACE_REGIONS = ("left_eye", "right_eye", "nose", "mouth", "ears", "face", "hair", "background")


def face_region_map(image, framing):
  """Which region each pixel of a photograph is in, and how the face was found.

  Args:
    image: uint8[H, W, 3]. Give a photograph whole, as the template knows only whole ones, and cut the result as the
      photograph is cut, with `square.resize_and_crop_mask`.
  Returns: (uint8[H, W], indices into FACE_REGIONS; landmarks.LANDMARKS or TEMPLATE), or (None, BLOB) where no upright
    face is recognised.
  """
  points, found_by = find_points(image, framing)
  if points is None:
    return None, found_by
  shape = image.shape[:2]
  regions = np.full(shape, FACE_REGIONS.index("background"), np.uint8)
  for index, name in reversed(list(enumerate(FACE_REGIONS[:-1]))):
    regions[region_outline(name, points, shape)] = index
  return regions, found_by


def energy_by_region(maps, region_maps, found_by, manipulated, caught):
  """The share of a map's energy in each region of the face, by what was manipulated.

  Args:
    maps: float32[N, h, w] >= 0 of any resolution, or a list of such maps; one that is zero everywhere points nowhere
      and is taken for a uniform one.
    region_maps, found_by: of the N images, as `face_region_map` returns them, cut as the network's input is, with 128
      around a picture smaller than that; an image whose map of regions is None is only counted.
    manipulated: N collections of names of `features.REGIONS`, empty for fakes of which nothing is known; None for a
      real.
    caught: bool[N], whether the verdict was fake.
  Returns: a dict of
    found_by: {how: count of images};
    area: {region: its mean share of the picture};
    rows: a list of {"manipulated", "images": n, "share": {region: [v, low, high]}}: for each region the fakes in which
      it was changed (a fake may be in several rows), then "caught fakes", "missed fakes" and "reals"; only those with
      images.
  Where no image has regions {"reason"}.
  """
  known = [i for i, regions in enumerate(region_maps) if regions is not None]
  if not known:
    return {"reason": f"no upright face was recognised in any of the {len(region_maps)} images"}
  shares, areas = (np.stack(column) for column in zip(
      *(_shares(np.asarray(maps[i], np.float32), region_maps[i]) for i in known), strict=True))
  changed = [manipulated[i] for i in known]
  groups = {name: [regions is not None and name in regions for regions in changed] for name in REGIONS}
  reals, caught = np.array([regions is None for regions in changed]), np.asarray(caught, bool)[known]
  groups |= {"caught fakes": ~reals & caught, "missed fakes": ~reals & ~caught, "reals": reals}
  rows = [{"manipulated": name, "images": int(np.sum(members)),
           "share": dict(zip(FACE_REGIONS, mean_intervals(shares[members]), strict=True))}
          for name, members in groups.items() if any(members)]
  return {"found_by": dict(Counter(found_by)), "area": dict(zip(FACE_REGIONS, areas.mean(0).tolist(), strict=True)),
          "rows": rows}


def painted_by_region(untouched, painted):
  """What caught fakes lose of their probability of fake with each region of the face painted over.

  Args:
    untouched: float[N], of the pictures as they are.
    painted: {region: `faithfulness.painted_over` of the same pictures}.
  Returns: a dict of
    images: N; untouched: [v, low, high];
    regions: {region: {"inside", "elsewhere", "drop": [v, low, high]}}, the last being how much lower the probability is
      with the region painted over than with the same shape elsewhere;
    verdict: a sentence on the region that costs most.
  """
  names = ("inside", "elsewhere", "drop")
  regions = {region: dict(zip(names, mean_intervals(np.stack(
      [of["inside"], of["elsewhere"], of["elsewhere"] - of["inside"]], axis=1)), strict=True))
             for region, of in painted.items()}
  whole = mean_intervals(np.asarray(untouched, np.float64)[:, None])[0]
  most = max(regions, key=lambda region: regions[region]["drop"][0])
  (inside, *_), (elsewhere, *_), (drop, low, high) = regions[most].values()
  start = ("Their verdicts rest on" if low > LEAST_DROP else
           "No part of the face surely carries the verdicts; most costs")
  named = {"face": "skin of the face", "left_eye": "left eye", "right_eye": "right eye"}.get(most, most)
  return {"images": len(untouched), "untouched": whole, "regions": regions, "verdict": (
      f"{start} the {named}: with it painted over, the probability of fake of {len(untouched)} caught"
      f" fakes goes from {whole[0]:.2f} to {inside:.2f} on average; with the same shape elsewhere painted over, to"
      f" {elsewhere:.2f} (difference {drop:.2f}, 95 % interval {low:.2f} to {high:.2f}).")}


def _shares(values, regions):
  """float64[regions] twice: the share of a map's sum in each, and of the picture; around it nothing counts."""
  size = len(FACE_REGIONS)
  inside = regions < size
  area = np.bincount(regions[inside], minlength=size) / inside.sum()
  energy = np.bincount(regions[inside], enlarged(values, regions.shape)[inside], minlength=size)
  return (energy / energy.sum() if energy.any() else area), area
