"""Keys, and files that are encrypted at rest."""
