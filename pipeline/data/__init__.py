"""The digits: what the competition fixes about them, reading them, and splitting them."""
