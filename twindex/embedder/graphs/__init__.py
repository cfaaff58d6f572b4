"""Networks as OpenVINO graphs."""
