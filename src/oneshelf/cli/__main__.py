"""`python -m oneshelf.cli`."""

from oneshelf.cli import main

main()
