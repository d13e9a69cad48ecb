"""Watching what runs, and sending what the watch tells: one process at a time, never in a request."""
