"""The article's recipe: a ResNet-50 with ImageNet weights, the last block and a new head trained, on a folder of faces.

python scripts/train.py --config configs/resnet50.py --config.data.path=/my/faces
"""

from configs import resnet


def get_config():
  config = resnet.get_config()
  config.model.depth = 50
  config.pretrained = "timm/resnet50.tv_in1k"  # needs the network once
  config.data.name = "folder"
  config.data.resize = 256
  config.data.crop = 224
  config.data.views = 1
  config.data.augment = "crop,flip,jpeg,blur"  # with views > 1
  return config
