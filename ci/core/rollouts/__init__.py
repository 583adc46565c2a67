"""What becomes of a release once it is in an environment: steps, promotion, and the ways back."""
