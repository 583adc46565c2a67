"""Which card payments are fraudulent."""
