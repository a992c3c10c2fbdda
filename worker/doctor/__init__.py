"""The doctor: what may be wrong with an installation, each with what mends it."""
