"""Shows reports as text in a terminal."""
