"""`make bench`: the pipeline against its reference peers, interleaved, on the same rows."""
