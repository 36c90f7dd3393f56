"""What TRL's commands do not do by themselves: checkpoints, adapters, the gate's record."""
