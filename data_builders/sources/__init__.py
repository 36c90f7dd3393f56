"""Where raw documents come from: local files, data sets of the Hub, the generator."""
