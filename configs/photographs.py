"""For a folder of photographs of faces: every layer trained, on small squares of the pictures, which are judged whole.

python scripts/train.py --config configs/photographs.py --config.data.path=/my/faces
"""

from configs import resnet


def get_config():
  config = resnet.get_config()
  config.trainable = "all"
  config.data.name = "folder"
  config.data.resize = 256  # as most sets of faces come: what resampling would leave of their noise tells many fakes
  config.data.crop = 224
  config.data.train_crop = 128
  config.data.views = 0
  config.data.augment = "crop,flip,jpeg,blur,noise"
  config.epochs = 60
  config.learning_rate = 3e-4
  config.ema_decay = 0.99
  config.plateau.patience = 4
  config.early_stopping_patience = 12
  return config
