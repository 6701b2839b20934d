"""One module for each plain file format of a report."""
