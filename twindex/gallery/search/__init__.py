"""From a template to ranked candidates."""
