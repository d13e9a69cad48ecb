"""From events to a verdict."""
