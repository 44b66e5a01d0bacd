"""For a folder of photographs of faces, on what two CPU cores can do: pixels as they are, every layer trained.

python scripts/train.py --config configs/photographs.py --config.data.path=/my/faces
"""

from configs import resnet


def get_config():
  config = resnet.get_config()
  config.trainable = "all"
  config.data.name = "folder"
  config.data.resize = None  # what resampling leaves of noise and edges is what tells many fakes
  config.data.crop = 224
  config.data.train_crop = 128
  config.data.views = 0
  config.data.augment = "crop,flip"
  config.learning_rate = 5e-4
  config.plateau.patience = 4
  config.early_stopping_patience = 12
  return config
