"""``python -m vidscan`` is the ``vidscan`` command."""

from vidscan.cli.main import main

raise SystemExit(main())
