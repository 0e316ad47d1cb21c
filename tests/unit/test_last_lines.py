"""The end of a log, as a person sees it whose process has ended."""

import json
from pathlib import Path
from typing import Any

from deploy.local.processes import last_lines


def mongod(severity: str, says: str, **attr: Any) -> str:
    """A line as mongod writes it."""
    when = {"$date": "2026-03-10T12:00:00.000Z"}
    return json.dumps({"t": when, "s": severity, "c": "NETWORK", "id": 22943, "ctx": "x", "msg": says, "attr": attr})


def test_what_mongod_says_in_json_is_said_in_words(tmp_path: Path) -> None:
    log = tmp_path / "mongod.log"
    said = [
        mongod("I", "Connection accepted", remote="127.0.0.1:4711", uuid={"uuid": {"$uuid": "x"}}),
        mongod("E", "Failed to set up listener", error="Address already in use"),
        '{"t": 1}',
        "[1, 2]",
        "Error parsing command line: unrecognised option",
    ]
    log.write_text("\n".join(["gone", *said]))

    assert last_lines(log, 5).splitlines() == [
        "2026-03-10T12:00:00.000Z I Connection accepted",
        "2026-03-10T12:00:00.000Z E Failed to set up listener {'error': 'Address already in use'}",
        '{"t": 1}',
        "[1, 2]",
        "Error parsing command line: unrecognised option",
    ]
