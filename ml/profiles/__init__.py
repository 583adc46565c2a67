"""Profiles: the small, mergeable summary of a table that drift is judged on (`profile.json`)."""
