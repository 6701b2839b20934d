"""The command line ``vidscan-train``."""
