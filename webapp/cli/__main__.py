"""`python -m webapp.cli`: the same as `offerlab`."""

from webapp.cli import main

main()
