"""The commands of `twindex`, one module each, imported only when called."""
