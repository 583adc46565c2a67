"""Docker for tests, nothing of it faked: a daemon, registries on localhost, and a base image made on this machine."""
