"""Which law file and which assumptions a command works with: what it is told, or else the environment's."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from shared.failures import BadStart
from shared.partners import load_partners

PARTNERS = Path("partners.yaml")

LawFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]", help="The law file; unless told, ROGATORY_LAW or the law that the partners file names."
    ),
]
Assume = Annotated[
    list[Path] | None,
    typer.Option(
        "--assume",
        help="A file of assumptions; may be given again. ROGATORY_LAW_ASSUMPTIONS (comma separated) unless told.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def law_file(told: Path | None) -> Path:
    """The law file that is meant."""
    if told is None and (named := os.environ.get("ROGATORY_LAW")):
        return Path(named)
    return told or load_partners(_partners_file()).law_file


def assumptions(told: Sequence[Path] | None) -> list[Path]:
    """The files of assumptions that are meant."""
    return list(told or [Path(name) for name in os.environ.get("ROGATORY_LAW_ASSUMPTIONS", "").split(",") if name])


def life_cycle_file() -> Path:
    """The table whose updates the clocks of a law wait for."""
    return Path(os.environ.get("ROGATORY_LIFE_CYCLE", "life-cycle.yaml"))


def _partners_file() -> Path:
    if told := os.environ.get("ROGATORY_PARTNERS"):
        return Path(told)
    if not PARTNERS.is_file():
        raise BadStart(f"{PARTNERS} not found: run it in the project's folder or set ROGATORY_PARTNERS")
    return PARTNERS
