"""`rogatory`: one file per command, and one place where their failures become one sentence and an exit code."""

import importlib
import importlib.util
import sys

import typer

from cli.up import up
from deploy.local.processes import ChildStopped
from shared.failures import BadStart

app = typer.Typer(
    help="Routes letters of request under the UN Convention against Cybercrime.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up)
if importlib.util.find_spec("cli.explain"):
    from cli.explain import explain

    app.command()(explain)
if importlib.util.find_spec("cli.demo"):
    app.command()(importlib.import_module("cli.demo").demo)


def main() -> None:
    """Run one command; exit 0 for yes, 1 for no, 2 for wrong use or a wrong setting."""
    try:
        app()
    except BadStart as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(2)
    except ChildStopped as died:
        print(died, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
