"""requirements.lock holds every package that setup.cfg asks for, at a release that it accepts."""

import configparser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


def test_the_lock_holds_what_setup_cfg_asks_for(repository: Path) -> None:
    lock = [Requirement(line) for line in (repository / "requirements.lock").read_text().splitlines() if line[0] != "#"]
    locked = {canonicalize_name(one.name): next(iter(one.specifier)).version for one in lock}
    assert "+" not in "".join(locked.values())  # a local build, such as +cpu, is not to be had elsewhere
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg")
    extras = setup["options.extras_require"]
    wanted = "\n".join([setup["options"]["install_requires"], extras["test"], extras["quality"]])
    for line in wanted.splitlines():
        if line.strip() and not line.strip().startswith("#"):
            one = Requirement(line.strip())
            assert Version(locked[canonicalize_name(one.name)]) in one.specifier, line
