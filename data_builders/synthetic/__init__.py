"""The generator: multiplication tables, drills and word problems, deterministic by seed."""
