"""What the runner and the parts of ``./dev sdk world`` share."""
