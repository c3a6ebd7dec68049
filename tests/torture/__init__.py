"""Hostile inputs and kills in numbers: nothing lost, leaked or submitted twice, no traceback."""
