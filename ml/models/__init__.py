"""The models of this repository, a folder each."""
