"""Images, data sets of them, and batches."""
