"""How work runs: stages side by side, and stops in good order."""
