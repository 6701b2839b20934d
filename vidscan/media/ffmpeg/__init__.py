"""The ffmpeg program: found, asked about a file, and run to decode and encode."""
