"""What a gate is, and what it decides."""
