"""Checks: whether a database is sound, and whether a file still holds erased values."""
