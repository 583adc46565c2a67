"""Whether a model is to be trained again, on what, and what is said of it in its one pull request."""
