"""Models on disk: the bundle, its card, its weights, and where bundles are kept."""
