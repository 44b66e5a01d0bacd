"""What chips are and can do at most, by their makers' data sheets."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
  """Dense products of one chip, and its memory.

  Attributes:
    bfloat16, float32: operations per second (a multiplication and an addition are two); float32 without TF32.
    bandwidth: of its memory, bytes per second.
    memory: bytes.
    source: where it is said.
    topology: how XLA's TPU compiler is told of four of them.
    gpu: what XLA's GPU compiler is told of it: compute capability, multiprocessors, what each of them has (float32
      units, threads, bytes of shared memory, of which a block may have so many), clock in GHz, bytes of L2.
  """

  bfloat16: float
  float32: float
  bandwidth: float
  memory: float
  source: str
  topology: str = ""
  gpu: dict | None = None


def _gpu(capability, multiprocessors, units, threads, shared, of_block, ghz, l2):
  return dict(capability=capability, multiprocessors=multiprocessors, units=units, threads=threads, shared=shared,
              of_block=of_block, ghz=ghz, l2=l2)


# What a multiprocessor has is said in the CUDA C++ programming guide, "Compute capabilities".
H100_GPU = _gpu("9.0", 132, 128, 2048, 233_472, 232_448, 1.98, 50 * 2**20)
CHIPS = {  # by a part of jax.Device.device_kind
    "H200": Chip(989e12, 67e12, 4.8e12, 141e9, "NVIDIA H200 data sheet, SXM", gpu=H100_GPU),
    "H100": Chip(989e12, 67e12, 3.35e12, 80e9, "NVIDIA H100 data sheet, SXM", gpu=H100_GPU),
    "A100": Chip(312e12, 19.5e12, 1.555e12, 40e9, "NVIDIA A100 data sheet, 40 GB SXM",
                 gpu=_gpu("8.0", 108, 64, 2048, 167_936, 166_912, 1.41, 40 * 2**20)),
    "L4": Chip(121e12, 30.3e12, 0.3e12, 24e9, "NVIDIA L4 data sheet, without sparsity",
               gpu=_gpu("8.9", 58, 128, 1536, 102_400, 101_376, 2.04, 48 * 2**20)),
    "T4": Chip(65e12, 8.1e12, 0.32e12, 16e9, "NVIDIA T4 data sheet; float16 in bfloat16's place",
               gpu=_gpu("7.5", 40, 64, 1024, 65_536, 65_536, 1.59, 4 * 2**20)),
    "TPU v5 lite": Chip(197e12, 197e12 / 6, 0.819e12, 16e9, "Google Cloud's page on TPU v5e; float32 is six products"
                        " in bfloat16", topology="v5e:2x2"),
    "TPU v6 lite": Chip(918e12, 918e12 / 6, 1.64e12, 32e9, "Google Cloud's page on TPU v6e; float32 is six products in"
                        " bfloat16", topology="v6e:2x2"),
}


def chip_of(device_kind):
  """The `Chip` that a device is, or None where it is not among `CHIPS`."""
  return next((chip for name, chip in CHIPS.items() if name in device_kind), None)
