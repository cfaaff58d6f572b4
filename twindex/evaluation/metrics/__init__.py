"""Error rates and their intervals, computed from distances."""
