"""`python -m services.intake`: settings, connect, build, run."""

from services.intake.app import build
from services.intake.settings import IntakeSettings
from shared.service import main

if __name__ == "__main__":
    main("intake", IntakeSettings, build)
