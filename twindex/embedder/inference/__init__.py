"""Running networks with OpenVINO."""
