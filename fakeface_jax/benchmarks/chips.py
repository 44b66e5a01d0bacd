"""What chips can do at most, by their makers' data sheets."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
  """Dense products of one chip, and its memory.

  Attributes:
    bfloat16, float32: operations per second (a multiplication and an addition are two); float32 without TF32.
    bandwidth: of its memory, bytes per second.
    source: where it is said.
  """

  bfloat16: float
  float32: float
  bandwidth: float
  source: str


CHIPS = {  # by a part of jax.Device.device_kind
    "H200": Chip(989e12, 67e12, 4.8e12, "NVIDIA H200 data sheet, SXM"),
    "H100": Chip(989e12, 67e12, 3.35e12, "NVIDIA H100 data sheet, SXM"),
    "A100": Chip(312e12, 19.5e12, 1.555e12, "NVIDIA A100 data sheet, 40 GB SXM"),
    "L4": Chip(121e12, 30.3e12, 0.3e12, "NVIDIA L4 data sheet, without sparsity"),
    "T4": Chip(65e12, 8.1e12, 0.32e12, "NVIDIA T4 data sheet; float16 in bfloat16's place"),
    "TPU v5 lite": Chip(197e12, float("nan"), 0.819e12, "Google Cloud's page on TPU v5e"),
    "TPU v6 lite": Chip(918e12, float("nan"), 1.64e12, "Google Cloud's page on TPU v6e"),
}


def chip_of(device_kind):
  """The `Chip` that a device is, or None where it is not among `CHIPS`."""
  return next((chip for name, chip in CHIPS.items() if name in device_kind), None)
