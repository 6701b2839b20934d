"""What computes a network's outputs: one module a runtime, and how one of them is chosen.

Every runtime keeps the promise of :class:`vidscan.models.runtimes.protocol.Runtime`; calibration and the
class convention are none of its business. Nothing heavy is imported before a runtime is made.
"""
