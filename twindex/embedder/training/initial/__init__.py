"""Initial weights from elsewhere, looked through before anything reads them."""
