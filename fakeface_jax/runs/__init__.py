"""What stands in a finished run's folder beside its weights: read, and measured where it is not there yet."""
