"""What a report says, before it is rendered."""
