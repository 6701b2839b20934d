"""Runtimes compute a network's outputs: one module each, and the choice between them.

Every runtime implements :class:`vidscan.models.runtimes.protocol.Runtime`; calibration and the class
convention are handled elsewhere. Nothing heavy is imported before a runtime is opened.
"""
