"""Pictures and videos with the findings drawn in."""
