"""What is judged of a photograph: its faces, each cut as the training faces were, or the whole picture."""

import dataclasses

import numpy as np

from fakeface_jax.data.faces.detect import Box
from fakeface_jax.data.faces.embedded import along_edges
from fakeface_jax.data.faces.framing import centre_square, cut
from fakeface_jax.data.reading.square import resize_and_crop
from fakeface_jax.errors import UserError, did_you_mean

WHICH = ("auto", "all", "largest", "none")
TOO_SMALL = 2.0  # times enlarged
CUT = 0.05  # of its box that lies outside the photograph


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
  """A face of a photograph, or the whole of it.

  Attributes:
    box: where the face is; None where none was looked for.
    window: (left, top, side) in pixels of the photograph; None where it is taken whole.
    pixels: uint8[h, w, 3] of the photograph, for `Detector.prepare`; those of a window are brought to the training
      images' size where the network takes pixels as they are.
    note: what speaks against a judgement, or why the picture is taken whole; ''.
  """

  box: Box | None
  window: tuple[int, int, int] | None
  pixels: np.ndarray
  note: str = ""


def check_which(faces):
  """Raises: UserError where `faces` is not of WHICH."""
  if faces not in WHICH:
    raise UserError(f"faces={faces!r} is not known; use one of {', '.join(WHICH)}{did_you_mean(faces, WHICH)}")


def faces_of(photograph, framing, detect, faces, resize):
  """The list of `Face` to judge of a photograph, the largest first; empty where none is found.

  Args:
    photograph: uint8[H, W, 3].
    framing: the `Framing` of the run.
    detect: as `face_detector` makes it.
    faces: 'auto', every face, but a picture that sits as the training images do whole; 'all', every face, cut;
      'largest', that one, as auto would have it.
    resize: pixels, of the network's input before the crop; None where it takes pixels as they are.
  """
  boxes = detect(photograph)
  if not boxes:
    return []
  square = centre_square(photograph)
  if faces != "all" and framing.off(framing.window(boxes[0]), square) <= 1:
    return [Face(boxes[0], None, photograph, _small(square[2], framing, resize))]
  return [_cut_out(photograph, box, framing, resize) for box in (boxes[:1] if faces == "largest" else boxes)]


def _cut_out(photograph, box, framing, resize):
  """The `Face` of a box; a window that reaches over an edge is moved in, and one that is too large made smaller."""
  height, width = photograph.shape[:2]
  left, top, side = wanted = framing.window(box)
  side = min(side, height, width)
  left, top = (round(start + (wanted[2] - side) / 2) for start in (left, top))
  window = min(max(left, 0), width - side), min(max(top, 0), height - side), side
  if side == framing.size:  # else it is resampled anyway
    window = along_edges(photograph, window, framing.reach())
  inside = max(0.0, min(box.right, width) - max(box.left, 0)) * max(0.0, min(box.bottom, height) - max(box.top, 0))
  notes = []
  if inside < (1 - CUT) * box.side**2:
    notes.append("the face is cut by the border")
  elif framing.off(window, wanted) > 1:
    notes.append("the face is so near the border that it does not sit as the training faces do")
  notes.append(_small(side, framing, resize))
  pixels = cut(photograph, window)
  if resize is None:
    pixels = resize_and_crop(pixels, framing.size, framing.size)
  return Face(box, window, pixels, "; ".join(filter(None, notes)))


def _small(side, framing, resize):
  """A note on pictures that are enlarged more than the training images were; '' for others."""
  times = min(resize or framing.size, framing.size) / side
  if times < TOO_SMALL:
    return ""
  return f"too small: {side} px are enlarged {times:.1f} times, the training faces' pictures have {framing.size} px"
