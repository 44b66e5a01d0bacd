"""A trained detector, ready to use: probabilities and explanations of images in memory."""

import base64
import dataclasses
import html
import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import numpy as np

from fakeface_jax.data.faces.detect import Box, face_detector
from fakeface_jax.data.faces.face import Face, check_which, faces_of
from fakeface_jax.data.faces.framing import Framing, cut, read_framing
from fakeface_jax.data.reading.arrays import photographs
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.data.reading.square import resize_and_crop, resize_and_crop_mask, seen_part
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.explain.engine import Engine, target_code
from fakeface_jax.explain.methods import CHANNELS, DEFAULT_METHODS, METHODS, Resolved, maps_of, resolve_methods
from fakeface_jax.explain.pooled_features import pooled_layers
from fakeface_jax.explain.scale import is_scale
from fakeface_jax.explain.signature import Layers, Methods, Variables
from fakeface_jax.models import DTYPES, make_model
from fakeface_jax.models.hub_runs import run_folder
from fakeface_jax.training.best_weights import load_best
from fakeface_jax.verdict.conformal import CONFIDENCE, check_confidence
from fakeface_jax.verdict.judgement import Judgement, judge, noted
from fakeface_jax.verdict.kept import read_reference
from fakeface_jax.verdict.likeness import Reference
from fakeface_jax.workdir import BACKGROUND_FILE, FRAMING_FILE, REFERENCE_FILE, SCALE_FILE, read_config, read_json

log = logging.getLogger(__name__)

Photographs = Iterable[np.ndarray] | np.ndarray  # uint8[h, w, 3] each, of any sizes, or uint8[N, h, w, 3]
Target = Literal["fake", "real", "predicted"]
Which = Literal["auto", "all", "largest", "none"]

NO_FRAMING = "how faces sit in the training images is not known: the whole picture is judged"


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
  """What the network sees of N photographs: their pixels, cut to its input once and for all by `Detector.prepare`.

  Not an array, so that it cannot be taken for photographs and cut again.

  Attributes:
    pixels: uint8[N, crop, crop, 3].
  """

  pixels: np.ndarray

  def __post_init__(self) -> None:
    if getattr(self.pixels, "dtype", None) != np.uint8 or self.pixels.ndim != 4:
      raise TypeError(f"expected uint8[N, crop, crop, 3], got {type(self.pixels).__name__}{np.shape(self.pixels)}")

  def __len__(self) -> int:
    return len(self.pixels)

  def __getitem__(self, some: slice | np.ndarray) -> "Seen":
    """Some of them, by a slice or an array."""
    return Seen(self.pixels[some])

  @staticmethod
  def joined(several: Iterable["Seen"]) -> "Seen":
    """One `Seen` of several, at least one."""
    return Seen(np.concatenate([seen.pixels for seen in several]))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Look:
  """A face of a photograph, or the whole of it, as the network sees it; a notebook's cell shows it so.

  Attributes:
    box, window, note: as of a `Face`.
    seen: one. part: (left, top, side) of the photograph that it shows.
    judgement: None until it is judged.
  """

  box: Box | None
  window: tuple[int, int, int] | None
  note: str
  seen: Seen
  part: tuple[float, float, float]
  judgement: Judgement | None = None

  def __repr__(self) -> str:
    left, top, side = self.part
    place = f"{'face' if self.box else 'picture'} at {left:.0f}, {top:.0f}, {side:.0f} px"
    said = self.judgement
    return f"Look({place}{f': {said.verdict}, {_percent(said.probability)} fake. {said.why}' if said else ''})"

  def _repr_html_(self) -> str:
    picture = base64.b64encode(encode_image(self.seen.pixels[0], "PNG")).decode()
    said = self.judgement
    words = f"<b>{said.verdict}</b> ({_percent(said.probability)} fake)<br>{html.escape(said.why)}" if said else ""
    return (
        '<div style="display: flex; gap: 1em; align-items: center; margin: 0.5em 0">'
        f'<img src="data:image/png;base64,{picture}" alt="what the network sees" width="160">'
        f'<div style="max-width: 40em">{words}</div></div>')


class Looks(list[Look]):
  """A photograph's; a notebook's cell shows them one below the other."""

  def _repr_html_(self) -> str:
    return "".join(look._repr_html_() for look in self) or "no face was found; faces='none' judges the whole picture"


def _percent(probability: float) -> str:
  return f"{min(max(100 * probability, 0.1), 99.9):.1f} %"  # no network can know that it is 0 or 100


@dataclasses.dataclass(frozen=True, repr=False)
class Detector:
  """A network with all it needs to judge an image.

  Attributes:
    model, variables: the Flax module and its {"params", "batch_stats"}.
    resize, crop: how an image is cut to the network's input, in pixels (see `square.resize_and_crop`).
    batch_size: images per compiled call; more images take several calls, fewer are padded. None: 8 on CPU, 64 for each
      GPU or TPU.
    map_scale: {map: value that is drawn in full colour}, measured on this run's validation images; or None.
    background: uint8[K, crop, crop, 3], the pixels that are seen of photographs which expected_gradients compares with;
      or None.
    framing: how the faces of its training images sit; None where that is not known, or there are none to be found.
    read_reference: finds what verdicts rest on when one is first asked for, see `reference`; or None.
    folder: of its run, where there is one.
  """

  model: nn.Module
  variables: Variables
  resize: int | None
  crop: int
  batch_size: int | None = None
  map_scale: dict[str, float] | None = None
  background: np.ndarray | None = None
  framing: Framing | None = None
  read_reference: Callable[[], Reference | None] | None = None
  folder: Path | None = None

  def __repr__(self) -> str:
    return f"Detector({self.model.title}, {self.crop} px{f', {self.folder}' if self.folder else ''})"

  @cached_property
  def reference(self) -> Reference | None:
    """What verdicts rest on: images that the detector was checked on, and some that it was trained on; None without.

    Training keeps it in the run; for a run from before, `runs.reference.with_reference` makes it.
    """
    return self.read_reference() if self.read_reference else None

  @cached_property
  def engine(self) -> Engine:
    """Its compiled calls."""
    return Engine(self.model, self.variables, self.batch_size)

  def prepare(self, images: Photographs) -> Seen:
    """What the network sees of photographs, the only place where they are cut.

    Args:
      images: a list of photographs uint8[h, w, 3] of any sizes, or uint8[N, h, w, 3].
    Returns: their `Seen`.
    """
    images = photographs(images)
    small = sum(min(image.shape[:2]) < self.crop for image in images)
    if self.resize is None and small:
      log.warning("%d of %d images: smaller than the %d px that the network sees, and laid on black, as this detector"
                  " takes pixels as they are", small, len(images), self.crop)
    if len(images) == 0:
      return Seen(np.zeros((0, self.crop, self.crop, 3), np.uint8))
    return Seen(np.stack([resize_and_crop(image, self.resize, self.crop) for image in images]))

  def prepare_mask(self, mask: np.ndarray, window: tuple[int, int, int] | None = None) -> np.ndarray:
    """What `prepare` leaves of a photograph's mask, uint8[h, w] or of 1 x 1: uint8[crop, crop], without new values.

    Args: `window`: that of the `Look` at a face; None for the whole photograph.
    """
    if window:
      mask = cut(mask, window)
      if self.resize is None and self.framing:
        mask = resize_and_crop_mask(mask, self.framing.size, self.framing.size)
    return resize_and_crop_mask(mask, self.resize, self.crop)

  def faces(self, photograph: np.ndarray, faces: Which = "auto") -> list[Face]:
    """What is judged of a photograph: the faces that it shows, each cut so that it sits as the training faces do.

    Args:
      photograph: uint8[h, w, 3], of any size.
      faces: 'auto', every face, and a picture that sits as the training images do as it is; 'all', every face, always
        cut; 'largest', one; 'none', the whole picture, whatever it shows.
    Returns: a list of `Face`, the largest first; its `pixels` are what `prepare` takes. Empty where there is no face.
      The whole picture, with a note, where this detector was trained on images without faces that are found.
    Raises: UserError where something is no photograph, or the package that finds faces is not installed.
    """
    check_which(faces)
    (photograph,) = photographs([photograph])
    if faces == "none":
      return [Face(None, None, photograph)]
    if self.framing is None:
      return [Face(None, None, photograph, NO_FRAMING)]
    return faces_of(photograph, self.framing, face_detector(), faces, self.resize)

  def find(self, photograph: np.ndarray, faces: Which = "auto") -> Looks:
    """What the network sees of each of `faces`; not yet judged."""
    looks = Looks()
    for face in self.faces(photograph, faces):
      part = np.array(seen_part(face.pixels.shape[:2], self.resize, self.crop), float)
      if face.window:
        part = part * face.window[2] / len(face.pixels) + (*face.window[:2], 0)
      looks.append(Look(face.box, face.window, face.note, self.prepare([face.pixels]), tuple(part.tolist())))
    return looks

  def look(
      self, photograph: np.ndarray, faces: Which = "auto", confidence: float = CONFIDENCE,
  ) -> Looks:
    """The verdict on each face of a photograph: `find`, and `judge` of what it finds."""
    looks = self.find(photograph, faces)
    if not looks:
      return looks
    said = self.explain_seen(Seen.joined(look.seen for look in looks), methods=Resolved(), confidence=confidence)
    return Looks(dataclasses.replace(look, judgement=noted(one["judgement"], look.note))
                 for look, one in zip(looks, said, strict=True))

  def predict(self, images: Photographs) -> np.ndarray:
    """Probability of fake, float64[N], of whole photographs as `prepare` takes them, whatever they show."""
    return probability_of_fake(_finite(self.engine.logits(self.prepare(images).pixels)))

  def judge(self, images: Photographs, confidence: float = CONFIDENCE) -> list[Judgement]:
    """The verdict on photographs as `prepare` takes them: 'fake', 'real' or 'cannot tell', and why.

    Args: `confidence`: in how many cases out of one the truth is to remain among what is not ruled out.
    """
    return [said["judgement"] for said in self.explain_seen(self.prepare(images), "fake", None, Resolved(), confidence)]

  def explain(
      self, images: Photographs, target: Target = "fake", layers: Layers | None = None,
      methods: Methods = DEFAULT_METHODS,
  ) -> list[dict[str, Any]]:
    """Why: raw maps of photographs as `prepare` takes them.

    Args:
      target: the class whose evidence is shown: 'fake', 'real', or 'predicted'.
      layers: names such as 'layer4_2/conv3', for all methods that have layers (Guided Grad-CAM takes the last one); by
        default those of `explain.methods.METHODS`: mostly the last ten convolutions.
      methods: names, 'all', or {name: {setting: value}}; by default Grad-CAM, guided backprop, Guided Grad-CAM.
    Returns: one dict per image: `image` uint8[crop, crop, 3], `logits` float32[2], `probability` of fake, `target` (the
      explained class: 0 real, 1 fake), `settings` {method: settings}, for every method its maps as its function
      returns them, without the batch axis (gradcam: {layer: float32[h, w] >= 0}, guided_backprop: float32[crop, crop,
      3]), and `completeness_error` {method: float} in logits, of methods whose maps sum to a difference of logits.
    """
    return self.explain_seen(self.prepare(images), target, layers, methods)

  def explain_seen(
      self, seen: Seen, target: Target = "fake", layers: Layers | None = None,
      methods: Methods = DEFAULT_METHODS, confidence: float | None = None,
  ) -> list[dict[str, Any]]:
    """As `explain`, of a `Seen`; with `confidence` each dict has `judgement` too, as `judge` returns it."""
    code = target_code(target)
    methods = resolve_methods(self.model, methods, layers)
    if len(seen) == 0:
      return []
    pixels, judging = seen.pixels, confidence is not None
    targets = np.full(len(pixels), code, np.int32)
    if judging:
      check_confidence(confidence)
    pooled = pooled_layers(self.model) if judging and self.reference and self.reference.training else ()
    maps = self.engine.explain(pixels, targets, methods, self.background, pooled)
    probabilities = probability_of_fake(_finite(maps["logits"]))
    targets = np.where(targets < 0, maps["logits"].argmax(-1), targets)
    judgements = judge(probabilities, maps.get("features"), self.reference, confidence) if judging else []
    return [
        {
            "image": pixels[i], "logits": maps["logits"][i], "probability": float(probabilities[i]),
            "target": int(targets[i]), "settings": methods,
            **{name: _of_image(maps[name], i, settings) for name, settings in methods.items()},
            "completeness_error": {name: float(errors[i]) for name, errors in maps["completeness_error"].items()},
            **({"judgement": judgements[i]} if judging else {}),
        }
        for i in range(len(pixels))]

  def sanity(
      self, images: Photographs, methods: Methods | None = None, layers: Layers | None = None, target: Target = "fake",
  ) -> dict[str, dict[str, Any]]:
    """Which methods depend on what the network has learned, on photographs as `prepare` takes them.

    The other arguments and the result are those of `evaluation.sanity.sanity`.
    """
    from fakeface_jax.evaluation.sanity import sanity

    return sanity(self, self.prepare(images), methods, layers, target)


def _of_image(maps: Any, i: int, settings: dict[str, Any]) -> Any:
  """The maps of image i, with layers in the order asked for (JAX sorts the keys of its dicts)."""
  if not isinstance(maps, dict):
    return maps[i]
  return {layer: _of_image(maps[layer], i, {}) for layer in settings.get("layers", maps)}


def _finite(logits: np.ndarray) -> np.ndarray:
  if not np.isfinite(logits).all():
    raise UserError("the network's logits are not finite: its weights hold, or run into, NaN or infinity; train again")
  return logits


def flatten_maps(result: dict[str, Any]) -> dict[str, np.ndarray]:
  """{map: array} of one image's explanation: 'gradcam/<layer>', 'guided_backprop', 'feature_maps/<layer>/channels'."""
  flat = {}
  for name, layer, values in maps_of(result, result["settings"]):
    key = f"{name}/{layer}" if "layers" in result["settings"][name] else name
    if METHODS[name].kind == CHANNELS:
      flat[key], flat[f"{key}/channels"] = values["maps"], values["channels"]
    else:
      flat[key] = values
  return flat


def checksum(arrays: Any) -> int:
  """A number that changes with the arrays of a tree."""
  checksum = 0
  for leaf in jax.tree.leaves(arrays):
    checksum = zlib.crc32(np.ascontiguousarray(leaf).data, checksum)
  return checksum


def load(workdir: str | os.PathLike, batch_size: int | None = None, dtype: str | None = None) -> Detector:
  """The `Detector` of a run folder's best epoch.

  Args:
    workdir: the run's folder, or the id 'OWNER/NAME' of one on the Hugging Face hub, which is downloaded once.
    batch_size: images, or network evaluations of methods that make many, per compiled call; None as in `Detector`.
    dtype: 'float32' or 'bfloat16' to compute in; None for that of the run's config.
  Raises: UserError where the folder holds no run, or no finished epoch, or the hub cannot be reached.
  """
  folder = run_folder(workdir)
  config = read_config(folder)
  if dtype not in (None, *DTYPES):
    raise UserError(f"dtype={dtype!r} is not known; use {' or '.join(DTYPES)}")
  config.model.dtype = dtype or config.model.dtype
  model = make_model(config.model)
  variables = load_best(folder, model.shapes)
  return Detector(
      model, variables, config.data.resize, config.data.crop, batch_size,
      read_json(folder / SCALE_FILE, is_scale, "it is measured again when needed"),
      _read_background(folder / BACKGROUND_FILE, config.data.crop), read_framing(folder / FRAMING_FILE)[1],
      lambda: read_reference(folder / REFERENCE_FILE, checksum(variables)), folder)


def _read_background(path: Path, crop: int) -> np.ndarray | None:
  """uint8[K, crop, crop, 3] of a run's file, or None without it; where it is damaged that is said."""
  try:
    with path.open("rb") as file, np.load(file) as arrays:
      images = arrays["images"]
    if images.dtype != np.uint8 or images.shape[1:] != (crop, crop, 3):
      raise ValueError(f"it holds {images.dtype}{list(images.shape)}")
    return images
  except FileNotFoundError:
    return None
  except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
    reason = of_disk(error) if isinstance(error, OSError) else "it is damaged"
    log.warning("%s cannot be used (%s): it is made again when needed.", path, reason)
    return None
