"""Does it look where the fake is? All maps of all fakes beside chance, and an answer in words.

A measure alone says little: a large region is hit by chance, and one in the middle of the picture by whatever always
points there. So each stands beside what a uniform map, a centred blob and the picture's edges get on the same images.
"""

import numpy as np

from fakeface_jax.evaluation.intervals import mean_intervals
from fakeface_jax.evaluation.placement import BASELINES, MEASURES

FEW = 8  # fakes; of fewer nothing is claimed, nor is anything chosen on their half
SMALL = 30  # fakes; below it the verdict warns of its interval
LEAST_DROP = 0.05  # of the probability of fake, from which on a verdict rests on what is painted over
NO_MAP = (
    "Nothing can be said of where it looks: of {count} maps none shows what its verdicts rest on, that is,"
    " {weights}marks what lowers the probability of fake faster than patches at random when it is removed.")
PASSED = (
    " {passed} of {tried} maps passed the trials that let a map take part: it {weights}marks what lowers the"
    " probability of fake faster than patches at random when it is removed.")
UNTRIED = " No map was put to a trial, so the best may mark what the verdicts do not rest on."


def localization(per_map, baselines, caught, area, left_out=None, *, painted=None, seed=0, bootstrap=1000):
  """All maps beside the baselines, and whether the best one finds the fakes; ready for JSON.

  Args:
    per_map: a list of {"method", "title", "layer" (or None), "images": int[n], which of the N fakes it was made for,
      and what `placement.placed` gave for these}; and "trials" where it was put to any: {"deletion": [v, low, high],
      how much lower the probability of fake is on average when what it marks is removed first than with patches at
      random, "images": on how many fakes, "depends_on_weights": bool, or None where that was not tried}.
    baselines: `placement.baseline_measures` of the N masks; chance and any others of `BASELINES`.
    caught: bool[N], whether the verdict on each fake was fake.
    area: float[N], the mask's share of the known pixels.
    left_out: {reason: count} of fakes that are not among the N.
    painted: {"untouched", "inside", "elsewhere": float[N]}, the probability of fake of each as it is, with the changed
      region painted over, and with the same shape elsewhere painted over; or None where that was not tried.
    seed, bootstrap: of the intervals' resamples and the halves on which the best is chosen.
  Returns: a dict of
    verdict, images, caught, missed, area (mean), left_out, measures {measure: title};
    baselines: {of `BASELINES`: STATS}, where STATS is {"all", "caught", "missed": {measure: [v, low, high]}},
      None for a group without images;
    maps: a list of {"method", "title", "layer", "images": n, "empty": share, **STATS, "over_chance" and so on:
      {measure: [v, low, high]}, differences on the same images, "trials", and "passes": whether these speak for it};
    best: {"method", "title", "layer", "energy", "how"}, the energy of each baseline by its name, and the differences
      "over_chance" and so on; or {"reason"} where no map passes. A map that does not depend on the weights, or marks
      what the verdict does not rest on, may lie on the fakes and yet say nothing of where the network looks: so only
      those that pass can be the best;
    painted: {"images", "untouched", "inside", "elsewhere", "drop"} of the caught fakes, the last being how much lower
      the probability is with the changed region painted over than with the other; None where that was not tried.
  Without fakes or maps {"reason"}.
  """
  caught, left_out = np.asarray(caught, bool), dict(left_out or {})
  if not len(caught):
    counted = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    return {"reason": f"no fake has a usable mask ({counted})" if counted else "there is no fake with a mask"}
  per_map = [one for one in per_map if len(one["images"])]
  if not per_map:
    return {"reason": "no method was asked for whose maps point somewhere"}
  intervals = lambda columns: mean_intervals(columns, seed, bootstrap)
  columns = lambda measured: np.stack([measured[name] for name in MEASURES], axis=1)
  named = lambda several: dict(zip(MEASURES, several, strict=True))
  of_baseline = {name: columns(measured) for name, measured in baselines.items()}

  def stats(values, images):
    groups = {"all": np.full(len(images), True), "caught": caught[images], "missed": ~caught[images]}
    return {name: named(intervals(values[group])) if group.any() else None for name, group in groups.items()}

  maps = []
  for one in per_map:
    images, values = np.asarray(one["images"]), columns(one)
    over = {f"over_{name}": named(intervals(values - base[images])) for name, base in of_baseline.items()}
    maps.append({"method": one["method"], "title": one["title"], "layer": one["layer"], "images": len(images),
                 "empty": float(np.mean(one["empty"])), **stats(values, images), **over, "trials": one.get("trials"),
                 "passes": passes(one.get("trials"))})
  painted = _painted(painted, caught, intervals)
  best, verdict = _best(per_map, baselines, caught, seed, intervals, painted)
  everything = np.arange(len(caught))
  return {
      "verdict": verdict, "images": len(caught), "caught": int(caught.sum()), "missed": int((~caught).sum()),
      "area": float(np.mean(area)), "left_out": left_out, "measures": dict(MEASURES),
      "baselines": {name: stats(values, everything) for name, values in of_baseline.items()}, "maps": maps,
      "best": best, "painted": painted}


def _painted(painted, caught, intervals):
  if painted is None or not caught.any():
    return None
  untouched, inside, elsewhere = (np.asarray(painted[name])[caught] for name in ("untouched", "inside", "elsewhere"))
  figures = intervals(np.stack([untouched, inside, elsewhere, elsewhere - inside], axis=1))
  return {"images": int(caught.sum())} | dict(zip(("untouched", "inside", "elsewhere", "drop"), figures, strict=True))


def passes(trials):
  """Whether these trials of a map (see `localization`) say that it shows what verdicts rest on; None untried."""
  return None if trials is None else trials["deletion"][1] > 0 and trials["depends_on_weights"] is not False


def _best(per_map, baselines, caught, seed, intervals, painted):
  """The map with the most energy inside, its figures paid for by other images than those it was chosen on.

  The best of many maps is partly the luckiest. So each half of the fakes is measured with the map that is best on the
  other half (cross-fitting). Only maps made for the most fakes take part, and none that failed its trials.
  """
  verdicts = [passes(one.get("trials")) for one in per_map]
  of_weights = [(one.get("trials") or {}).get("depends_on_weights") for one in per_map]
  unchecked = dict.fromkeys(one["title"] for one, depends in zip(per_map, of_weights, strict=True)
                            if one.get("trials") is not None and depends is None)
  but = f" (not tried for {', '.join(unchecked)})" if unchecked else ""
  weights = "" if set(of_weights) <= {None} else f"depends on the weights{but} and "
  tried, passed = len(verdicts) - verdicts.count(None), verdicts.count(True)
  per_map = [one for one, passing in zip(per_map, verdicts, strict=True) if passing is not False]
  if not per_map:
    reason = NO_MAP.format(count=tried, weights=weights)
    return {"reason": reason}, " ".join([reason, *_rests(painted)])
  widest = max(per_map, key=lambda one: len(one["images"]))
  images = np.asarray(widest["images"])
  able = [one for one in per_map if np.array_equal(one["images"], images)]
  energies = np.stack([one["energy"] for one in able])
  overall = int(energies.mean(1).argmax())
  choices = {overall: None}
  if len(able) == 1:
    energy, how = energies[0], "There was no other map to choose from."
  elif len(images) < FEW:
    energy = energies[overall]
    how = (f"Chosen among {len(able)} maps by its mean energy on the same {len(images)} fakes that it is measured on, "
           "too few to divide: its figures are too good.")
  else:
    half = _halves(caught[images], seed)
    by_half = [int(energies[:, side].mean(1).argmax()) for side in (half, ~half)]
    energy = np.where(half, energies[by_half[1]], energies[by_half[0]])
    choices = dict.fromkeys(by_half)
    first, second = (name_of(able[choice]) for choice in by_half)
    chose = (f"Both halves chose {first}." if first == second else
             f"One half chose {first}, the other {second}; the figures are of both.")
    how = (f"Chosen among {len(able)} maps by the mean energy on one random half of {len(images)} fakes and measured "
           f"on the other half, both ways, so that luck in choosing is not in its figures. {chose}")
  others = {name: of["energy"][images] for name, of in baselines.items()}
  value, *over = intervals(np.stack([energy, *(energy - other for other in others.values())], axis=1))
  best = {name: able[overall][name] for name in ("method", "title", "layer")} | {
      "energy": value, **{name: float(other.mean()) for name, other in others.items()},
      **{f"over_{name}": difference for name, difference in zip(others, over, strict=True)}, "how": how}
  gains = [
      intervals((energy - others["chance"])[group][:, None])[0] if group.sum() >= FEW else None
      for group in (caught[images], ~caught[images])]
  best["how"] += PASSED.format(passed=passed, tried=tried, weights=weights) if tried else UNTRIED
  return best, verdict(best, [name_of(able[choice]) for choice in choices], len(images), *gains, painted)


def _halves(caught, seed):
  """bool[N], a random half that holds half of the caught and half of the missed."""
  order = np.random.default_rng(seed).permutation(len(caught))
  half = np.zeros(len(caught), bool)
  half[order[np.argsort(caught[order], kind="stable")][::2]] = True
  return half


def name_of(one):
  """A map's method, and its layer where it has one, as in 'Grad-CAM of layer4_1/conv2'."""
  return f"{one['title']} of {one['layer']}" if one["layer"] else one["title"]


def _rests(painted):
  """A sentence on what happens to caught fakes once the changed region is painted over; none where nobody tried."""
  if painted is None or painted["images"] < FEW:
    return []
  low, high = painted["drop"][1:]
  start = ("The verdicts rest on it" if low > LEAST_DROP else "The verdicts rest on something else" if high < LEAST_DROP
           else "There is no sign that the verdicts rest on it")
  return [f"{start}: with the changed region painted over, the probability of fake of caught fakes goes from"
          f" {painted['untouched'][0]:.2f} to {painted['inside'][0]:.2f} on average; with the same shape elsewhere"
          f" painted over, to {painted['elsewhere'][0]:.2f} (difference {painted['drop'][0]:.2f}, 95 % interval"
          f" {painted['drop'][1]:.2f} to {painted['drop'][2]:.2f})."]


def verdict(best, names, images, caught=None, missed=None, painted=None):
  """What the figures come to, in a sentence or more; it says no where they do.

  Args:
    best: as `localization` returns it.
    names: of the maps whose energy it is, one or two.
    images: how many fakes were measured.
    caught, missed: [v, low, high] of the energy beyond chance in each; None for too few of them.
    painted: as `localization` returns it.
  """
  value, low, high = best["energy"]
  over = lambda name: best[f"over_{name}"][1] > 0
  simple = [name for name in BASELINES if name != "chance" and name in best]
  if images < FEW:
    start = f"Too few fakes with a mask ({images}) to tell whether it looks where the fake is"
  elif all(map(over, ("chance", *simple))):
    rests = painted is None or painted["images"] < FEW or painted["drop"][1] > LEAST_DROP
    start = "It looks where the fake is" if rests else "Its maps lie where the fake is, but it may not look there"
  elif over("chance"):
    how_near = lambda name: "less near" if best[f"over_{name}"][2] < 0 else "no nearer"
    than = " and ".join(f"{how_near(name)} than {BASELINES[name]}" for name in simple if not over(name))
    start = f"It looks nearer to the fake than chance, but {than}"
  elif best["over_chance"][2] < 0:
    start = "It looks elsewhere than where the fake is"
  else:
    start = "There is no sign that it looks where the fake is"
  who = f"{names[0]} puts" if len(names) == 1 else f"its best maps ({' and '.join(names)}) put"
  told = ", ".join(f"{BASELINES[name]} {_percent(best[name])}%" for name in ("chance", *simple))
  text = (f"{start}: {who} {_percent(value)}% ({_percent(low)} to {_percent(high)}) of the energy inside the changed "
          f"region, {told}.")
  text = " ".join([text, *_rests(painted)])
  if images < SMALL:
    text += f" With only {images} fake{'s'[:images > 1]}, the interval is {_percent(high - low)} points wide."
  if caught and missed:
    for name, better, other, worse in (("Caught", caught, "missed", missed), ("Missed", missed, "caught", caught)):
      if better[1] > worse[2]:
        value, low, high, of_other, low_of_other, high_of_other = map(_percent, (*better, *worse))
        text += (f" {name} fakes are better localised than {other} ones: {value} points above chance ({low} to {high}) "
                 f"against {of_other} ({low_of_other} to {high_of_other}).")
  return text


def _percent(share):
  return f"{100 * share:.1f}" if 0 < abs(share) < 0.0095 else f"{100 * share:.0f}"
