"""What the operating system gives: processes, cores, files, and libraries that are imported lazily."""
