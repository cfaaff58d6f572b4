"""From a photo's bytes to pixels, in bounded memory."""
