"""Nearest references by Euclidean distance: FAISS behind one small interface, and snapshots of it in files.

Import from the modules, not from this package: `spec`, `protocol` and `choice` do not load FAISS.
"""
