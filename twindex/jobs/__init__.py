"""Batch jobs over a gallery: enrolling folders, and re-indexing blue/green. Resumable, a status per item."""
