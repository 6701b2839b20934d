"""The stages of a scan, from sources to reports."""
