"""What a scan has finished: in a store on this machine, or in a Parquet dataset."""
