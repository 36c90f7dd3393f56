"""What a fact looks like in running text: its spellings, what may stand around it, and the patterns made of both."""
