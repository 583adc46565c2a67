"""Canary analysis: counters of two tracks → evidence → one decision. Pure functions on records."""
