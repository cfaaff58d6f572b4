"""From a photo to a template: decoding, detection, alignment, the twin network, bundles and inference."""
