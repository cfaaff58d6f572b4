"""From a photo to a template: photos, faces, models, inference and training; `Embedder` joins model and inference."""
