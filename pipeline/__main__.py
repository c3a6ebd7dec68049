"""`python -m pipeline <command>`."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until `exit_codes` takes over, Ctrl-C ends the process without a traceback of its imports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pipeline.common.errors import exit_codes
from pipeline.common.startup import open_closed_streams, spare_threads

open_closed_streams()
with exit_codes():  # memory may be too short for the imports
    spare_threads()
    from pipeline.cli import main
main()
