"""A data set of the Hugging Face hub, read from its parquet files."""
