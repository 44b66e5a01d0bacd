"""The article's recipe (configs/resnet50.py) on faces retouched by experts.

python scripts/train.py --config configs/ciplab.py [--config.data.path=/my/ciplab]
"""

from configs import resnet50


def get_config():
  config = resnet50.get_config()
  config.data.name = "ciplab"
  config.data.views = 4  # there are few images
  return config
