"""A made-up audit, as true to form as a real one, and the small pictures of its cases."""

import itertools

import numpy as np
from PIL import Image

from fakeface_jax.data.schema import REGIONS
from fakeface_jax.evaluation.scores import scores
from fakeface_jax.explain.methods import METHODS

LAYERS = tuple(f"layer4_{block}/{part}" for block in range(3) for part in ("conv1", "conv2", "conv3"))
LAYERS = (*LAYERS[:3], "layer4_0/downsample_conv", *LAYERS[3:])
PARTS = ("left_eye", "right_eye", "nose", "mouth", "ears", "face", "hair", "background")
MEASURES = {
    "energy": "energy inside the mask", "pointing": "highest point inside the mask (pointing game)",
    "iou": "IoU of the mask and as many highest pixels",
    "rank_accuracy": "highest pixels inside the mask (rank accuracy)", "pixel_auc": "AUC of the pixels"}
MAP_MEASURES = ("infidelity", "road", "max_sensitivity", "sparseness")
FILLS = {"inpaint": "painted in from the pixels that are left", "blur": "replaced by the blurred photograph"}
GROUPS = {
    "obvious_caught": "obviously altered, caught", "obvious_missed": "obviously altered, missed",
    "hard_caught": "hard, caught", "hard_missed": "hard, missed", "true_real": "reals, recognised",
    "false_alarm": "reals, taken for fakes", "unsure": "unsure"}


def make_audit(seed=0, cases=40):
  """An audit of 1,000 images with 44 maps, 9 regions and `cases` cases."""
  rng = np.random.default_rng(seed)
  labels = np.repeat([0, 1], 500)
  probabilities = np.clip(1 / (1 + np.exp(-rng.normal(np.where(labels, 1.1, -1.3), 1.6))), 1e-6, 1 - 1e-6)
  return {
      "about": {
          "workdir": "runs/faces", "data": "synthetic_faces", "split": "test", "images": 1000, "real": 500,
          "fake": 500, "network": "ResNet-50, 224 px, trained from layer4 on", "weights": "sha256 3f1c09aa",
          "unreadable": [["img/broken <1>.jpg", "the file is cut short"]],
          "notes": ["The intervals hold for images like these, not for other sources of fakes."],
          "command": "python scripts/audit.py --workdir runs/faces --split test",
          "versions": {"fakeface_jax": "0.1.0", "jax": "0.10.2"}},
      "detection": _detection(rng, labels, probabilities), "localization": _localization(rng),
      "faithfulness": _faithfulness(rng), "robustness": _robustness(rng), "cases": _cases(rng, cases)}


def write_pictures(audit, folder, seed=0):
  """The thumbnails and panels of the audit's cases, small coloured noise with a face-like blob, into the folder."""
  rng = np.random.default_rng(seed)
  (folder / "cases").mkdir(exist_ok=True)
  y, x = np.mgrid[-1:1:160j, -1:1:160j]
  for item in audit["cases"]["items"]:
    face = np.exp(-((x / 0.55) ** 2 + (y / 0.75) ** 2) ** 3)[..., None]
    pixels = rng.integers(60, 230, 3) * face + rng.integers(40, 120, 3) * (1 - face)
    pixels = np.uint8(np.clip(pixels + rng.normal(0, 8, (160, 160, 3)), 0, 255))
    Image.fromarray(pixels).save(folder / item["thumbnail"], quality=70)
    panel = np.full((200, 1296, 3), 255, np.uint8)
    for i in range(7):
      panel[12:188, 8 + 184 * i : 184 + 184 * i] = np.roll(pixels, i, axis=2).repeat(2, 0).repeat(2, 1)[60:236, 60:236]
    Image.fromarray(panel).save(folder / item["panel"], quality=60)


def _interval(rng, value, width=0.03):
  low, high = value - width * rng.uniform(0.7, 1.2), value + width * rng.uniform(0.7, 1.2)
  return [float(value), float(max(low, 0)), float(min(high, 1))]


def _detection(rng, labels, probabilities):
  order = np.argsort(-probabilities)
  hits, alarms = np.cumsum(labels[order]), np.cumsum(1 - labels[order])
  every = slice(4, None, 5)
  bins = np.linspace(0, 1, 11)
  calibration = []
  for low, high in itertools.pairwise(bins):
    members = (probabilities >= low) & (probabilities < high)
    calibration.append({
        "low": float(low), "high": float(high), "images": int(members.sum()),
        "confidence": float(probabilities[members].mean()),
        "share_fake": _interval(rng, labels[members].mean(), 0.06)})
  edges = np.linspace(0, 1, 21)
  group = lambda name, images, caught: {
      "name": name, "images": images, "caught": caught, "recall": _interval(rng, caught / images, 0.07)}
  return {
      "verdict": "It tells real from fake in 75.8 % of the images (73.0 to 78.4), which is better than guessing.",
      "scores": scores(labels, probabilities, bootstrap=40),
      "curves": {
          "roc": {"false_alarm_rate": (alarms / 500)[every].tolist(), "recall": (hits / 500)[every].tolist()},
          "precision_recall": {
              "recall": (hits / 500)[every].tolist(), "precision": (hits / (hits + alarms))[every].tolist()},
          "calibration": calibration,
          "histogram": {"edges": edges.tolist(), **{
              name: np.histogram(probabilities[labels == label], edges)[0].tolist()
              for label, name in enumerate(("real", "fake"))}}},
      "thresholds": [
          {"wanted": wanted, "threshold": threshold, "validation_reals": 400, "recall": _interval(rng, recall),
           "false_alarm_rate": _interval(rng, wanted * 1.1, 0.01)}
          for wanted, threshold, recall in ((0.01, 0.9412, 0.262), (0.05, 0.7731, 0.518), (0.1, 0.6512, 0.631))],
      "conformal": {
          "confidence": 0.9, "n": 1000, "validation": {"real": 400, "fake": 400}, "coverage": [0.913, 0.894, 0.929],
          "coverage_real": [0.921, 0.894, 0.942], "coverage_fake": [0.905, 0.876, 0.928],
          "cannot_tell": [0.342, 0.313, 0.372], "right": [0.867, 0.84, 0.891]},
      "groups": {
          "regions": [group(name, 60 + 7 * i, 20 + 11 * i) for i, name in enumerate(REGIONS)],
          "difficulty": [group("easy", 166, 150), group("mid", 167, 121), group("hard", 167, 80)],
          "size": [group("1.5 to 4.0 %", 125, 61), group("4.0 to 9.5 %", 125, 99)],
          "source": [group("splice", 250, 210), group("warp <b>", 250, 141)]}}


def _localization(rng):
  def stats(energy):
    one = lambda lift: {
        "energy": _interval(rng, energy + lift), "pointing": _interval(rng, min(1.4 * energy + lift, 0.95)),
        "iou": _interval(rng, 0.6 * energy + lift / 2), "rank_accuracy": _interval(rng, 0.8 * energy + lift / 2),
        "pixel_auc": _interval(rng, 0.45 + 0.7 * energy + lift)}
    return {"all": one(0), "caught": one(0.04), "missed": one(-0.05)}

  def trial(name):
    gain, sane = (-0.1 if name == "layercam" else 0.2), {"guided_backprop": False}.get(name, True)
    trials = {"deletion": [gain, gain - 0.05, gain + 0.05], "depends_on_weights": sane}
    return {"trials": trials, "passes": gain > 0 and sane}

  layered = {"gradcam": 0.30, "hirescam": 0.32, "layercam": 0.27, "eigencam": 0.18}
  wanted = [(name, layer, base + 0.012 * i) for name, base in layered.items() for i, layer in enumerate(LAYERS)]
  wanted += [("gradcam_plus_plus", f"layer4_{block}", 0.26 + 0.02 * block) for block in range(3)]
  wanted += [("guided_backprop", None, 0.23)]
  difference = lambda value: [value, value - 0.021, value + 0.022]
  maps = [{
      "method": name, "title": METHODS[name].title, "layer": layer, "images": 480, "empty": float(rng.uniform(0, 0.04)),
      **trial(name),
      **stats(energy), "over_chance": {measure: difference(energy - 0.14) for measure in MEASURES},
      "over_centre": {measure: difference(energy - 0.24) for measure in MEASURES},
      "over_edges": {measure: difference(energy - 0.2) for measure in MEASURES}} for name, layer, energy in wanted]
  area = np.array([0.02, 0.02, 0.04, 0.05, 0.02, 0.35, 0.2, 0.3])
  best = max(maps, key=lambda row: row["all"]["energy"][0])
  return {
      "verdict": "It looks where the fake is: HiResCAM of layer4_2/conv3 puts 43 % (40 to 46) of the energy inside the"
                 " changed region, chance 14 %, a blob in the middle 24 %, the edges of the picture 20 %.",
      "images": 480, "caught": 371, "missed": 109, "area": 0.141, "left_out": {"empty mask": 12, "no mask": 8},
      "measures": MEASURES, "maps": maps,
      "baselines": {"chance": stats(0.141), "centre": stats(0.239), "edges": stats(0.202)},
      "painted": {"images": 371, "untouched": _interval(rng, 0.87), "inside": _interval(rng, 0.31),
                  "elsewhere": _interval(rng, 0.83), "drop": difference(0.52)},
      "best": {
          **{key: best[key] for key in ("method", "title", "layer")}, "energy": best["all"]["energy"],
          "chance": 0.141, "centre": 0.239, "edges": 0.202, "over_centre": difference(0.191),
          "over_chance": difference(0.289), "over_edges": difference(0.228),
          "how": "Chosen among 44 maps by the mean energy on one random half of 480 fakes and measured on the other."},
      "face_regions": {
          "found_by": {"landmarks": 470, "template": 18}, "area": dict(zip(PARTS, map(float, area), strict=True)),
          "rows": [{"manipulated": name, "images": 40 + 9 * i, "share": {
              part: _interval(rng, min(share * (2.2 if part == name else 1), 0.9), 0.02)
              for part, share in zip(PARTS, area, strict=True)}}
              for i, name in enumerate((*REGIONS, "caught fakes", "missed fakes", "reals"))],
          "painted": {"images": 88, "untouched": _interval(rng, 0.91), "verdict": "Their verdicts rest on the mouth.",
                      "regions": {part: {"inside": _interval(rng, 0.9 - 0.05 * i), "elsewhere": _interval(rng, 0.88),
                                         "drop": [0.05 * i - 0.02, 0.05 * i - 0.04, 0.05 * i]}
                                  for i, part in enumerate(PARTS)}}}}


def _faithfulness(rng):
  fractions = [0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.55, 0.8, 1]
  passes = {"guided_backprop": 0.83, "guided_gradcam": 0.71}

  def row(name, title, speed):
    curve = lambda rate: [float(0.12 + 0.66 * np.exp(-rate * share)) for share in fractions]
    ways = {way: {fill: {"auc": _interval(rng, area), "curve": values} for fill in FILLS
                  for values in [curve(speed) if way == "deletion" else curve(speed)[::-1]]
                  for area in [float(np.trapezoid(values, fractions))]} for way in ("deletion", "insertion")}
    layer = "layer4_2/conv3" if name and METHODS[name].layers else None
    same = passes.get(name, 0.2 + speed / 60)
    return {"method": name, "title": title, "layer": layer, **ways, "sanity": name and {
        "same_when_random": same, "depends_on_weights": same < 0.5}}

  names = ("gradcam", "gradcam_plus_plus", "hirescam", "layercam", "eigencam", "guided_backprop", "guided_gradcam",
           "gradient", "integrated_gradients")
  maps = [row(name, METHODS[name].title, 3.0 + i) for i, name in enumerate(names)]
  maps += [row(None, "random", 1.2), row(None, "random patches", 1.8), row(None, "centre", 2.4)]
  steps = ["head", "layer4_2", "layer4_1", "layer4_0", "layer3", "stem"]
  return {
      "verdict": "Removing what integrated gradients marks lowers the probability of fake faster than removing patches"
                 " at random: over the whole curve it is 0.18 against 0.37.",
      "images": 128, "fractions": fractions, "fills": FILLS, "maps": maps,
      "measures": {
          "verdict": "What HiResCAM holds in a square of the picture tells the most of what that is worth.",
          "images": 16,
          "measures": {name: f"title of {name}" for name in MAP_MEASURES},
          "maps": [{key: one[key] for key in ("method", "title", "layer")} | {
              name: _interval(rng, 0.4) if one["method"] or name != "sparseness" else [None] * 3
              for name in MAP_MEASURES} for one in maps]},
      "sanity": {"images": 16, "steps": steps, "methods": {
          one["method"]: {"rank_correlation": np.linspace(0.9, one["sanity"]["same_when_random"], 6).tolist(),
                          "ssim": np.linspace(0.8, 0.3, 6).tolist(), **one["sanity"]}
          for one in maps if one["method"]}}}


def _robustness(rng):
  def level(value, loss):
    return {"level": value, "f1_macro": _interval(rng, 0.757 - loss), "roc_auc": _interval(rng, 0.842 - loss, 0.02),
            "recall_fake": _interval(rng, 0.752 - 1.4 * loss), "false_alarm_rate": _interval(rng, 0.235 + loss / 3),
            "flipped": _interval(rng, 1.2 * loss, 0.015), "real_to_fake": 0.7 * loss, "fake_to_real": 1.7 * loss}

  corruptions = (
      ("jpeg", "JPEG compression", "quality", (95, 75, 50, 30)), ("blur", "blur", "sigma in px", (0.5, 1, 2)),
      ("noise", "noise", "standard deviation, of 255", (2, 5, 10, 20)),
      ("resize", "resize", "share of the side", (0.75, 0.5, 0.25)),
      ("brightness", "brightness", "factor", (0.6, 0.8, 1.25, 1.5)),
      ("crop", "crop", "share of the side", (0.95, 0.9, 0.8)))
  return {
      "verdict": "More than 10 % of the verdicts flip under noise of 10 or more and blur of 2 px.", "images": 1000,
      "clean": level(None, 0.0),
      "corruptions": [{"name": name, "title": title, "unit": unit, "levels": [
          level(value, 0.012 * (i + 1) ** 2 * (k % 3 + 1) / 2) for i, value in enumerate(levels)]}
          for k, (name, title, unit, levels) in enumerate(corruptions)]}


def _cases(rng, count):
  kinds = list(GROUPS)
  items = []
  for i in range(count):
    group = kinds[i * len(kinds) // count]
    label = "real" if group in ("true_real", "false_alarm") else "fake"
    wrong = group in ("obvious_missed", "hard_missed", "false_alarm")
    probability = float(rng.uniform(0.5, 1) if (label == "fake") != wrong else rng.uniform(0, 0.5))
    regions = list(rng.choice(REGIONS, rng.integers(1, 3), replace=False)) if label == "fake" else []
    items.append({
        "id": f"{i + 1:04}", "path": f"test/{label}/{group}_{i * 37:05}.jpg", "label": label,
        "verdict": "fake" if probability >= 0.5 else "real", "probability": probability, "group": group,
        "difficulty": {"o": "easy", "h": "hard"}.get(group[0]) if label == "fake" else None,
        "regions": list(map(str, regions)), "energy": float(rng.uniform(0, 0.9)) if label == "fake" else None,
        "area": float(rng.uniform(0.02, 0.3)) if label == "fake" else None,
        "thumbnail": f"cases/{i + 1:04}.jpg", "panel": f"cases/{i + 1:04}_panel.jpg"})
  groups = {key: {"title": title, "images": 30 + 41 * i} for i, (key, title) in enumerate(GROUPS.items())}
  return {"map": "HiResCAM of layer4_2/conv3", "groups": groups, "items": items}
