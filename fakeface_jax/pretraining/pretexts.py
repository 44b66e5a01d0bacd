"""What the backbone is asked about generated pictures, and how well it answers.

A quarter of a batch shows formulas and the rest drawn faces; all went through a camera, and some were tampered with.

* formula: which program drew it (of the first quarter).
* face: the parameters of the face (of the others).
* camera: noise, blur, compression and the like of the whole picture, and by which kernel it was enlarged.
* residual: the statistics of noise in every cell of the grid before the last block, see `residuals`.
* tampering: whether a region has another past, in what it differs, and where: a mask on the grids of layer3 and of the
  last block.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import random

from fakeface_jax.errors import UserError
from fakeface_jax.pretraining import rendered, residuals, scenes, tampering

PRETEXTS = {  # what is asked under each name
    "formula": ("formula",), "face": ("face",), "residual": ("residual",), "camera": ("camera", "enlarged"),
    "tampering": ("tampered", "differs", "mask16", "mask32")}
WEIGHTS = {"residual": 8.0, "tampered": 2.0, "mask16": 4.0, "mask32": 4.0}  # of the losses; 1 for the others
FORMULAS = 4  # one picture in so many shows a formula


def chosen_questions(names):
  """'formula,camera' -> ('formula', 'camera', 'enlarged'). Raises: UserError naming one that there is not."""
  chosen = [name.strip() for name in names.split(",") if name.strip()]
  unknown = [name for name in chosen if name not in PRETEXTS]
  if unknown or not chosen:
    raise UserError(f"config.pretexts: there is no {(unknown or [''])[0]!r}; use some of {','.join(PRETEXTS)}")
  return tuple(question for name in PRETEXTS if name in chosen for question in PRETEXTS[name])


def make_batch(key, faces, face_parameters, *, size, crop, classes):
  """`size` generated pictures with their labels, as `tampering.sample` has them, besides "formula" and "face".

  Args:
    faces, face_parameters: from `rendered.render_faces`.
    size: a multiple of FORMULAS = 4; the first quarter shows formulas, the rest faces.
  Returns: the samples, stacked; "formula": int32[size / 4]; "face": float32[3 size / 4, P].
  """
  formulas, n = size // FORMULAS, crop + tampering.MARGIN
  keys = random.split(key, 5)
  numbers = random.randint(keys[0], (formulas,), 0, classes)
  drawn = jax.vmap(lambda key, number: scenes.scene(key, number, n))(random.split(keys[1], formulas), numbers)
  chosen = random.randint(keys[2], (size - formulas,), 0, len(faces))
  seen = jax.vmap(lambda key, face: rendered.view(key, face, n))(random.split(keys[3], len(chosen)), faces[chosen])
  hosts = jnp.concatenate([drawn, seen])
  samples = jax.vmap(lambda key, host, donor: tampering.sample(key, host, donor, crop))(
      random.split(keys[4], size), hosts, jnp.roll(hosts, 1, 0))
  return samples | {"formula": numbers, "face": face_parameters[chosen]}


class Heads(nn.Module):
  """One linear map for each question, zero at first. Attributes: `classes`, `parameters`: of formulas and faces."""

  classes: int
  parameters: int

  @nn.compact
  def __call__(self, layer3, before_last, pooled):
    """The features after layer3, before the last block (both [N, h, w, C]) and before the head ([N, C]).

    N is a multiple of FORMULAS, and the pictures are in `make_batch`'s order.

    Returns: {question: answer}, first axis N, of "formula" N / 4 and of "face" 3 N / 4.
    """
    ask = lambda name, features, count: nn.Dense(count, kernel_init=nn.initializers.zeros, name=name)(features)
    formulas, faces = jnp.split(pooled, [len(pooled) // FORMULAS])
    return {
        "formula": ask("formula", formulas, self.classes), "face": ask("face", faces, self.parameters),
        "residual": ask("residual", before_last, residuals.COMPONENTS),
        "camera": ask("camera", pooled, len(tampering.CAMERA)),
        "enlarged": ask("enlarged", pooled, len(tampering.ENLARGED_BY)),
        "tampered": ask("tampered", pooled, 1)[..., 0], "differs": ask("differs", pooled, len(tampering.PROPERTIES)),
        "mask16": ask("mask16", layer3, 1)[..., 0], "mask32": ask("mask32", before_last, 1)[..., 0]}


def losses(answers, batch):
  """{question: loss}, each about 1 for a network that knows nothing: of numbers the mean squared error in spreads, of
  classes and of yes or no the cross-entropy over that of an even guess."""
  answers = {name: answer.astype(jnp.float32) for name, answer in answers.items()}
  error = lambda name: jnp.square(answers[name] - batch[name]).mean()
  choice = lambda name: optax.softmax_cross_entropy_with_integer_labels(
      answers[name], batch[name]).mean() / np.log(answers[name].shape[-1])
  yes_or_no = lambda answer, truth: optax.sigmoid_binary_cross_entropy(answer, truth).mean() / np.log(2)
  area = lambda like: batch["mask"].reshape(
      len(like), like.shape[1], batch["mask"].shape[1] // like.shape[1], like.shape[2], -1).mean((2, 4))
  return {
      **{name: choice(name) for name in ("formula", "enlarged")},
      **{name: error(name) for name in ("face", "residual", "camera")},
      **{name: yes_or_no(answers[name], batch[name]) for name in ("tampered", "differs")},
      **{name: yes_or_no(answers[name], area(answers[name])) for name in ("mask16", "mask32")}}
