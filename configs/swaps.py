"""For swapped faces, each beside the picture that it was made from: whole faces, in small, and pairs in a batch.

python scripts/train.py --config configs/swaps.py --config.data.path=/my/faces
"""

from configs import photographs


def get_config():
  config = photographs.get_config()
  config.data.resize = 144
  config.data.crop = 128
  config.data.train_crop = None
  config.data.pairs = True
  config.epochs = 24
  config.learning_rate = 2e-4
  config.label_smoothing = 0.1  # else the validation loss rises while verdicts still get better
  config.plateau.patience = 2
  return config
