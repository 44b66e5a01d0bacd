"""Every layer trained, from random weights: a ResNet-18 on the embedded synthetic faces.

python scripts/train.py --config configs/scratch.py
"""

from configs import resnet


def get_config():
  config = resnet.get_config()
  config.pretrained = ""
  config.trainable = "all"
  config.data.views = 0
  config.batch_size = 16
  config.epochs = 5
  config.learning_rate = 5e-4
  config.plateau.patience = 1
  return config
