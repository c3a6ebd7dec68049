"""`python -m pipeline <command>`."""

from pipeline.cli import main

main()
