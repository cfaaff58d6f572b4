"""Training a twin and making a bundle of it; the only room that imports Keras."""
