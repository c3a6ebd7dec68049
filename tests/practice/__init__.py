"""Tests of the practice competition."""
