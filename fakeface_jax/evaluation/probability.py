"""From logits to probabilities and the loss, in double precision."""

import numpy as np


def probability_of_fake(logits):
  """Softmax probability of fake, float64[N], from logits float[N, 2] in the order (real, fake)."""
  logits = np.asarray(logits, np.float64)
  return np.exp(-np.logaddexp(0, logits[:, 0] - logits[:, 1]))


def cross_entropy(logits, labels):
  """Mean cross-entropy in nats of logits float[N, 2] and labels int[N]."""
  logits = np.asarray(logits, np.float64)
  return float(np.mean(np.logaddexp(logits[:, 0], logits[:, 1]) - logits[np.arange(len(labels)), labels]))
