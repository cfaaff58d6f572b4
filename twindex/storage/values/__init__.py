"""The values that the store takes and returns, and the formats they are stored in."""
