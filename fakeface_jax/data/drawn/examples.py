"""Labelled examples made of drawn faces: half of them as the camera took them, half tampered with before developing.

An example depends on (seed, index, size) alone. Both classes go through the same camera and the same development.
"""

import pickle

import numpy as np

from fakeface_jax.data.drawn import manipulate
from fakeface_jax.data.drawn.faces import render_face, sample_face

CONTENT = 0  # moves when the same seed draws other pictures, so that no older ones are taken for them

# How often a fake's region is tampered with: mostly what people look at; the rest is rare, and hard to learn.
_WEIGHTS = {"left_eye": 5, "right_eye": 5, "nose": 5, "mouth": 5, "ears": 1, "hair": 0.6, "background": 0.6, "face": 2,
            "other": 0.8}


def compose(seed, index, size):
  """One picture before it is developed; even indices are real, odd ones fake.

  Returns: a dict of
    genuine, image: what the camera took, and the same after tampering, float32[size, size, 3] in 0..1;
    mask: uint8[size, size], 255 where the two may differ (see `manipulate.forge`), 0 where they are equal bit by bit;
    regions: names, in the order they were tampered with; operations: those of manipulate.OPERATIONS used;
    difficulty: "none", "easy", "mid" or "hard" (a third of the fakes each).
  """
  stream = lambda k: np.random.default_rng([seed, index, k])
  face = sample_face(stream(0))
  scene, masks = render_face(face, size)
  genuine = image = manipulate.capture(stream(1), scene)
  mask, regions, operations = np.zeros((size, size), np.uint8), [], []
  rng, fake = stream(2), index % 2
  difficulty = tuple(manipulate.LEVELS)[index // 2 % 3] if fake else "none"
  names, weights = tuple(_WEIGHTS), np.asarray(tuple(_WEIGHTS.values()), float)
  wanted = fake and (2 if rng.random() < 0.2 else 1)
  while len(regions) < wanted:
    name = str(rng.choice(names, p=weights / weights.sum()))
    if name == "other":
      region = manipulate.random_blob(rng, np.ones_like(masks["face"]), rng.uniform(0.22, 0.36))
    else:
      region = masks[name]
    if name in ("hair", "background"):  # a patch of it, since a whole one exchanged leaves no trace
      region = region * manipulate.random_blob(rng, region, rng.uniform(0.4, 0.8))
    if name in regions or region.mean() < 0.015:
      continue
    operation = str(rng.choice(manipulate.OPERATIONS, p=(0.4, 0.3, 0.15, 0.15)))
    donor = None
    if operation == "splice":
      other = sample_face(rng)
      other.pose = face.pose
      donor = manipulate.capture(rng, render_face(other, size)[0])
    image, changed = manipulate.forge(rng, image, donor, region, difficulty, operation)
    mask, regions, operations = np.maximum(mask, changed), [*regions, name], [*operations, operation]
  return {"genuine": genuine, "image": image, "mask": mask, "regions": regions, "operations": operations,
          "difficulty": difficulty}


def render_example(seed, index, *, size=96):
  """One labelled picture; depends on nothing but the arguments.

  Args: seed, index: ints >= 0; odd indices are fakes. size: side in pixels.
  Returns: dict(image=JPEG bytes, label=0 (real) or 1 (fake), mask=uint8[size, size] in {0, 255},
    regions=bool[9] in the order of features.REGIONS, difficulty=index into features.DIFFICULTIES).
  """
  made = compose(seed, index, size)
  return {
    "image": manipulate.develop(np.random.default_rng([seed, index, 3]), made["image"]),
    "label": index % 2,
    "mask": made["mask"],
    "regions": np.asarray([name in made["regions"] for name in _WEIGHTS]),
    "difficulty": ("none", *manipulate.LEVELS).index(made["difficulty"]),
  }


def write_examples(file, seed, indices, size):
  """Writes the examples of these indices to a binary file as pickles, in order (what a helper process does)."""
  for index in indices:
    pickle.dump(render_example(seed, index, size=size), file)
  file.flush()
