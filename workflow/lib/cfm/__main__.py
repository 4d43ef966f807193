"""`python -m cfm`."""

from cfm.cli import main

main()
