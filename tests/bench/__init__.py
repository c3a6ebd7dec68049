"""`make bench`: the pipeline and its reference peers, measured in turn on the same rows."""
