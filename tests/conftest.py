"""Shared fixtures: everything is made here, nothing is read from outside the repository."""

import os

# Two test processes on two cores: one thread each (set before numpy and torch are imported).
for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
