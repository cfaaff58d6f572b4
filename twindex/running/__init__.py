"""How work runs in parallel stages, and how it stops cleanly."""
