"""What an image is called and holds: references, labels, configuration, bill of materials, and what it may not."""
