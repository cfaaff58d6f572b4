"""Nearest references by Euclidean distance: FAISS behind one small interface, an exact oracle, and snapshots.

Import from the modules, not from here: `spec`, `protocol` and `exact` load no FAISS.
"""
