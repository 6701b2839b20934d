"""What is told of each file, before it is laid out: pages, case files and stores take it from here."""
