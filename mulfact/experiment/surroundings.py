"""What a machine may get wrong around an experiment, told before anything is paid for."""

import os

from mulfact.errors import UserError

# By these a launcher tells a process that it is one of several; accelerate would believe it.
LAUNCHERS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "WORLD_SIZE")


def check_surroundings() -> None:
    """Raise UserError in a shell that an MPI or torchrun launcher has started as one of several processes."""
    for name in LAUNCHERS:
        if os.environ.get(name, "1") != "1":
            raise UserError(
                f"{name} is {os.environ[name]!r}: this shell says that it is one of several processes of a job, and "
                f"each stage would wait for the others; run make with it unset (env -u {name} make ...), and give "
                "PROCESSES= where pretraining shall have several"
            )
