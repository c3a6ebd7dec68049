"""The locked packages: their licences, and whether a vulnerability of them is known."""
