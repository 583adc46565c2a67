"""Windows: the recent rows of a model, from its inference log or from raw data, reduced to a profile."""
