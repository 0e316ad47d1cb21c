"""`python -m services.router`: settings, connect, build, run."""

from services.router.app import build
from services.router.settings import RouterSettings
from shared.service import main

if __name__ == "__main__":
    main("router", RouterSettings, build)
