"""The twin network in Keras: branch, distance, head, losses, and the model that learns."""
