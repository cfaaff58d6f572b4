"""Training with everything in an accelerator's memory: faces, their variation, the teacher and the network, on JAX."""
