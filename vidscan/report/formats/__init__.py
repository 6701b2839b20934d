"""The plain file formats of a report, one module each."""
