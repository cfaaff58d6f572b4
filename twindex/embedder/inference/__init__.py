"""Networks as OpenVINO graphs: building, compiling, caching and running them."""
