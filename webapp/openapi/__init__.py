"""The description of our own HTTP API, as OpenAPI 3.1."""
