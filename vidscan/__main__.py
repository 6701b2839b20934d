"""``python -m vidscan`` is the ``vidscan`` command."""

from vidscan.cli import main

raise SystemExit(main())
