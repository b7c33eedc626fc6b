"""The command line: the only package that prints. One file per verb; each imports its stage inside the command body, so that `--help` is fast."""
