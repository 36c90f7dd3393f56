"""Which answers are asked at every point of a run, what they score, and what a pair of halves says of tokens."""
