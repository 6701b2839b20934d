"""Reports as a Parquet dataset."""
