"""Models on disk: bundles with their cards and weights, and the installed models."""
