"""What a scan has finished: in memory with a journal, or as a Parquet dataset."""
