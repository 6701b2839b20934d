"""Who runs :func:`vidscan.scan.pipeline.scan` over which sources."""
