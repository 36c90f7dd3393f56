"""What word problems tell of: templates by subject, and the graph that draws their numbers."""
