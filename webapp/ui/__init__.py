"""The web UI: pages under /s/<storefront>/, and signing in."""
