"""A server on this machine: a page to work through results, and the same over REST."""
