"""The main job on people who do not exist."""
