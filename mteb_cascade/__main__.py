"""`python -m mteb_cascade` is the command line."""

from mteb_cascade.cli.main import main

if __name__ == "__main__":
    main()
