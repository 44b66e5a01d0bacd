"""The article's experiment: its recipe (configs/resnet50.py) on 140k Real and Fake Faces, tested on the hard set.

python scripts/train.py --config configs/resnet50_140k.py [--config.data.path=/my/140k --config.data.test_path=/my/hard]
"""

from configs import resnet50


def get_config():
  config = resnet50.get_config()
  config.data.name = "real_fake_140k"
  config.data.train_size = 40_000  # as the article; 0: all 100,000
  config.data.test_name = "hard_fake_real"
  return config
