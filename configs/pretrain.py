"""A backbone from generated images, for scripts/pretrain.py."""

from ml_collections import ConfigDict


def get_config():
  config = ConfigDict()
  config.seed = 0  # of the weights, the faces and all pictures

  config.model = ConfigDict()
  config.model.name = "resnet"  # a network of fakeface_jax.models.NETWORKS
  config.model.depth = 18  # 18, 34, 50, 101 or 152
  config.model.dtype = "float32"  # of the computation: float32, or bfloat16 on a GPU or TPU

  config.pretexts = "formula,face,residual,camera,tampering"  # asked about a picture, see pretexts.py
  config.crop = 96  # px: side of the pictures, a multiple of 32
  config.classes = 1000  # of formulas
  config.faces = 3000  # drawn once, and seen in ever new views

  config.batch_size = 64  # pictures a step, over all devices
  config.epochs = 40  # each of steps_per_epoch batches
  config.steps_per_epoch = 60  # batches
  config.val_steps = 8  # batches that every epoch is judged on
  config.learning_rate = 1e-3  # of Adam in the first epoch; it falls along half a cosine
  config.checkpoint_minutes = 10.0  # a long epoch is saved that often in between
  return config
