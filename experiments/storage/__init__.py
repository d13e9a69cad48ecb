"""Where definitions and events live."""
