"""One small class for each kind of row."""
