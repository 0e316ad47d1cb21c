"""How many inputs are tried: a tenth in `make test`, all of them with `ROGATORY_FUZZ=full`."""

import os

IS_FULL = os.environ.get("ROGATORY_FUZZ") == "full"


def of(whole: int) -> int:
    """So many of a whole number of inputs in this run."""
    return whole if IS_FULL else whole // 10
