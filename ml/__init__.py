"""What a model is, at any time."""
