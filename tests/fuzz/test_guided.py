"""atheris, guided by what each input reaches, finds nothing in the envelope and the letter's parser."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.jars import ROOT
from shared.events import LETTER_RECEIVED
from tests.fuzz import scale
from tests.service.running import letter

HEAD = f"ce_specversion:1.0\nce_id:1\nce_source:/a\nce_type:{LETTER_RECEIVED}\n\n"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: it has wheels for Linux on x86-64 and Python 3.11 to 3.14 alone",
)


def test_guided_inputs_find_no_failure(tmp_path: Path) -> None:
    good = json.dumps(letter("r", "extradition", "stored_data_access", attachments=[{"name": "a", "size": 1}]))
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": LETTER_RECEIVED, "data": json.loads(good)}
    for number, text in enumerate((good, json.dumps(event), HEAD + good)):
        (tmp_path / str(number)).write_text(text)

    runs = scale.of("guided")
    options = [f"-runs={runs}", "-seed=7", "-max_len=4096", f"-artifact_prefix={tmp_path}/"]
    run = subprocess.run(
        # By a shell, which forks: what Linux calls a child's most memory begins with that of whoever started it, and
        # libFuzzer would hold that of all the tests before against its limit.
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", "tests.fuzz.guided", *options, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1_800 if scale.IS_FULL else 250,  # for a machine that has other things to do
    )

    assert run.returncode == 0, run.stderr[-3_000:]
    assert f"Done {runs} runs" in run.stderr
    scale.tried("guided", runs)
