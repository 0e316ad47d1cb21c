"""`rogatory`: one file per command, and one place where their failures become one sentence and an exit code."""

import logging
import sys

import typer

from cli.alerts import alerts
from cli.case import case
from cli.demo import demo
from cli.explain import explain
from cli.law import law
from cli.notices import notices
from cli.quarantine import quarantine
from cli.roster import roster
from cli.silence import silence
from cli.simulate import simulate
from cli.subscriber import subscriber
from cli.up import up
from cli.verify import verify
from deploy.local.processes import ChildStopped
from shared.failures import BadStart

app = typer.Typer(
    help="Routes letters of request under the UN Convention against Cybercrime.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(demo)
app.command()(explain)
app.command()(simulate)
app.command()(verify)
app.add_typer(alerts, name="alerts")
app.add_typer(case, name="case")
app.add_typer(law, name="law")
app.add_typer(notices, name="notices")
app.add_typer(quarantine, name="quarantine")
app.add_typer(roster, name="roster")
app.add_typer(silence, name="silence")
app.add_typer(subscriber, name="subscriber")


def main() -> None:
    """Run one command; exit 0 for yes, 1 for no, 2 for wrong use, a wrong setting or where the machine cannot."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say, we say in one sentence
    try:
        app()
    except BadStart as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(2)
    except ChildStopped as died:
        print(died, file=sys.stderr)
        sys.exit(1)
    except OSError as refused:  # a full disk, a folder without rights: neither a yes nor a no
        print(f"the machine does not let it: {refused}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
