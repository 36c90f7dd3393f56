"""mulfact: does writing multiplication facts as single tokens help a small language model, compute being equal?"""

__version__ = "0.1.0"

import signal
import sys

# Python is about to run a module of ours: until its main looks after itself, Ctrl-C just ends it, without a traceback.
if sys.argv[:1] == ["-m"]:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
