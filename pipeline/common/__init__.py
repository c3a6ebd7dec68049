"""What every room may use: errors, files, progress, provenance, and a quiet start of TensorFlow."""
