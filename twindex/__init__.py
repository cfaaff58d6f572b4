"""Twindex: identity search for faces, with "unknown" as an answer."""

__version__ = "0.1.0"
