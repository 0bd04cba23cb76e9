"""`python -m webhook`: the command line, where the console script is not on the path."""

from webhook.cli.main import main

main()
