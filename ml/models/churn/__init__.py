"""Who leaves a telecom company next month."""
