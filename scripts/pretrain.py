"""Trains a backbone on images that the program draws itself, formulas and faces, some of them tampered with.

python scripts/pretrain.py --config configs/pretrain.py [--config.FIELD=VALUE ...] [--workdir runs/NAME]

The weights are then in runs/NAME/weights.safetensors: scripts/train.py --config.pretrained=THAT_FILE starts from them.
On a GPU: --config.model.dtype=bfloat16 --config.batch_size=512 --config.epochs=100 --config.steps_per_epoch=400
On a CPU, a third faster with a device for each core (here two), and NPROC=8 in the environment beside:
XLA_FLAGS="--xla_cpu_multi_thread_eigen=false --xla_force_host_platform_device_count=2"
"""

from fakeface_jax.commands import app
from fakeface_jax.commands.app import flags

CONFIG = app.define_config("configs/pretrain.py")
WORKDIR = flags.DEFINE_string("workdir", "runs/pretrain", "Folder of the run.")


def main(arguments):
  app.no_positional(arguments)
  from fakeface_jax.commands.batch_size import fit_batch_size
  from fakeface_jax.devices import check_platform
  from fakeface_jax.pretraining.backbone import pretrain
  from fakeface_jax.pretraining.pretexts import FORMULAS

  check_platform()
  fit_batch_size(CONFIG.value, WORKDIR.value, FORMULAS)
  figures = pretrain(CONFIG.value, WORKDIR.value)
  print(f"validation loss {figures['val_loss']:.3f}; the weights are in {WORKDIR.value}/weights.safetensors")


if __name__ == "__main__":
  app.run(main)
