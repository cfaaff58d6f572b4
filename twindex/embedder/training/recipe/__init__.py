"""What a training run does, as plain values."""
