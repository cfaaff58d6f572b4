"""Checks of everything a gallery promises, and their findings."""
