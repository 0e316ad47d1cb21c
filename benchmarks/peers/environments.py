"""The peers' own Python environments: made when a key first needs one, from hashes, apart from the project's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.jars import ROOT
from deploy.local.locks import locked

HERE = Path(__file__).resolve().parent
FOLDER = ROOT / ".rogatory" / "peers"


class NoEnvironment(Exception):
    """It could not be made: the message says what uv said."""


def python_of(peer: str) -> Path:
    """The Python of one peer's environment, which is made anew when its requirements have changed."""
    wanted, folder = HERE / f"{peer}.txt", FOLDER / peer
    made_of, python = folder / "made-of.txt", folder / "bin" / "python"
    with locked(FOLDER / f"{peer}.lock", lambda: print(f"  waiting for another {peer} to be installed", flush=True)):
        if not made_of.exists() or made_of.read_bytes() != wanted.read_bytes():
            print(f"  installing {peer}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(folder))
            _uv("pip", "install", "--python", str(python), "--compile-bytecode", "--require-hashes", "-r", str(wanted))
            made_of.write_bytes(wanted.read_bytes())
    return python


def version_in(python: Path, package: str) -> str:
    """Which version of a package is there."""
    asks = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    said = subprocess.run([python, "-I", "-c", asks, package], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def _uv(*command: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    ours = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"}}
    said = subprocess.run([uv, *command, "--quiet"], capture_output=True, text=True, check=False, env=ours)
    if said.returncode:
        raise NoEnvironment(said.stderr.strip())
