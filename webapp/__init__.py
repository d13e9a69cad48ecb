"""The web service, its pages and the command line."""
