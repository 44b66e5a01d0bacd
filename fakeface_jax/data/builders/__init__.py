"""The TFDS builders: one file for each data set, and what they share."""
