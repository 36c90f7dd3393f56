"""Published and generated problems, each set read from its own form."""
