"""The operating threshold: how it is set and when it no longer fits."""
