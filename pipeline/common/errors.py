"""The one exception that a person can act on."""


class PipelineError(Exception):
    """A failure told in one line: what file or setting, what was found, what is allowed, the fix.

    `cli.py` prints it as `error: <message>` on stderr and exits with 1, without a traceback.
    """


class DivergedError(PipelineError):
    """A loss became infinite or NaN."""
