"""Checkpoints under lighteval: tasks, budgets, and every prediction kept."""
