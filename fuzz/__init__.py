"""Harnesses that feed hostile bytes to whatever reads files from strangers; see `__main__.py`."""
