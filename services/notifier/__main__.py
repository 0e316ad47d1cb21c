"""`python -m services.notifier`: settings, connect, build, run."""

from services.notifier.app import build
from services.notifier.settings import NotifierSettings
from shared.service import main

if __name__ == "__main__":
    main("notifier", NotifierSettings, build, may_be_simulated=False)
