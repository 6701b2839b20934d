"""The command line: flags -> options -> engine -> outputs -> exit code."""
