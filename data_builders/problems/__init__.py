"""What a question is, how it is asked, and how its answer is read."""
