"""`python -m ncpifu_cli`."""

from ncpifu_cli.cli.app import main

if __name__ == "__main__":
    main()
