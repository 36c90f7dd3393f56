"""What training really cost, by what a finished stage says of itself."""
