"""The ffmpeg program: found, asked about a file, and run to decode, seek and encode."""
