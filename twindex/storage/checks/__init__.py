"""Whether a database is what it should be, and whether a file still holds what was erased."""
