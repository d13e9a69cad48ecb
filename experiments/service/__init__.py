"""The use cases: each takes a connection and the time. Only this room writes."""
