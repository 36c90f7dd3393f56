"""An experiment as a whole: its grid of arms, seeds and stages, how it stands, and what it will cost."""
