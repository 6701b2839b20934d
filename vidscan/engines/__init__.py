"""Who runs :func:`vidscan.pipeline.scan` over which sources."""
