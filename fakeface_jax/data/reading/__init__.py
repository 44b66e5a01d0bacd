"""From a file of any kind to the square of pixels that a network takes, and records to batches."""
