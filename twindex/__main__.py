"""`python -m twindex`."""

from twindex.cli import main

main()
