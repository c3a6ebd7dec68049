"""`python -m pipeline <command>`."""

from pipeline.common.errors import exit_codes
from pipeline.common.startup import open_closed_streams, spare_threads

open_closed_streams()
with exit_codes():  # memory may be too short for the imports
    spare_threads()
    from pipeline.cli import main
main()
