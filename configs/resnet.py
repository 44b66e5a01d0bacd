"""The default run, the article's recipe without a download: a ResNet-18 whose bundled weights stay as they are but for
the last block and a new head, on the embedded synthetic faces. Every other config imports this one and overrides.
"""

from ml_collections import ConfigDict, config_dict


def get_config():
  config = ConfigDict()
  config.seed = 0  # of the new weights, the order of the data, the choice of train_size, crops and flips

  config.model = ConfigDict()
  config.model.name = "resnet"  # a network of fakeface_jax.models.NETWORKS
  config.model.depth = 18  # 18, 34, 50, 101 or 152
  config.model.dtype = "float32"  # float32, or bfloat16 (fast on a GPU or TPU) to compute in; parameters are float32

  config.pretrained = "bundled"  # the weights that come along, a .safetensors or .pth file, a hub id; '': from scratch
  config.trainable = "last_block"  # head, last_conv, last_block, last_stage, all, or patterns such as 'layer4_*,head/*'

  config.data = ConfigDict()
  config.data.name = "synthetic_faces"  # a data set's name, or 'folder' or 'hub' with its path
  config.data.path = config_dict.placeholder(str)  # of 'folder' (real/ and fake/, or train/real/...) or of an archive
  config.data.real = config_dict.placeholder(str)  # of 'hub' (OWNER/NAME): the label that is real, if none says so
  config.data.dir = config_dict.placeholder(str)  # where prepared records are kept; None: TFDS's own place
  config.data.resize = 80  # px: an image's shorter side is brought to this length; none: pixels stay as they are
  config.data.crop = 72  # px: side of the square that is cut out of it and that the network sees
  config.data.train_crop = config_dict.placeholder(int)  # px: of the square that training sees; None: crop
  config.data.views = 4  # of a training image: 0: a new one every epoch; 1: its centre; n: drawn from n fixed ones
  config.data.augment = "crop,flip"  # what makes a view: crop, flip, jpeg (encoded again), blur, noise
  config.data.train_size = config_dict.placeholder(int)  # images to train on, half of each class; None or 0: all
  config.data.pairs = False  # whether a fake and the real that it was made from stand in one batch
  config.data.train_split = "train"  # splits, or slices of them such as 'train[:85%]'
  config.data.val_split = "val"  # the learning rate, early stopping and the best epoch follow it
  config.data.test_split = "test"  # scored once, at the end
  config.data.test_name = config_dict.placeholder(str)  # another data set to test on; None: the same
  config.data.test_path = config_dict.placeholder(str)  # its path

  config.trunk = "auto"  # where the frozen part's output is kept: auto, device, host, file; none: computed every epoch

  config.batch_size = 32  # images a step, over all devices
  config.epochs = 20  # at most
  config.learning_rate = 1e-3  # of Adam
  config.ema_decay = 0.0  # of the moving average of the weights over steps, which is judged and kept; 0: none
  config.label_smoothing = 0.0  # share of a label that is spread over both classes, so that no verdict gets too sure
  config.plateau = ConfigDict()
  config.plateau.factor = 0.3  # what the learning rate is multiplied by once the validation loss stands still
  config.plateau.patience = 2  # epochs that it must stand still for that
  config.early_stopping_patience = 5  # epochs without a better validation loss that are forgiven
  config.checkpoint_minutes = 10.0  # a long epoch is saved that often in between
  return config
