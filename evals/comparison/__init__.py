"""Runs against each other: loaded, refused where they differ, estimated, concluded from."""
