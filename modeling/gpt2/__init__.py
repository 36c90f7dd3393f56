"""The model: its attention, its loss, its positions under left padding, and what a step of it costs."""
