"""Tests that run the real kaggle command, with a stand-in for Kaggle on this machine."""
