"""What a file says of itself: Content Credentials, IPTC and XMP, text chunks, EXIF, tags of encoders.

All of it is untrusted. The readers here look into the bytes of containers within fixed limits and expand
nothing; Content Credentials are verified by c2pa in a confined process.
"""
