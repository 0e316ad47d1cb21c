"""One bot of IntelMQ, run by the Python of its environment: `python -I intelmq_bot.py MODULE BOT-ID`.

As its own program does, but as whoever started it: that one refuses to run as root, and CI has no other user.
"""

import importlib
import sys

if __name__ == "__main__":
    module, bot_id = sys.argv[1:]
    importlib.import_module(module).BOT(bot_id).start()
