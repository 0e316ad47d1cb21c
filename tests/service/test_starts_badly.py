"""A wrong setting or file stops the start with one plain sentence and exit code 2, and repeats no secret.

Each case is a process of its own. They are forked from one that has imported a service already, for the import takes
longer than the start.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local.jars import ROOT
from shared.keys import make_key

SECRET = "hunter2"
"""Stands in every secret; no sentence may repeat it."""
LAW, PARTNERS, ALERTS = ((ROOT / name).read_text() for name in ("laws/azerbaijan.yaml", "partners.yaml", "alerts.yaml"))
WEBHOOK = {"url": "https://example.org/x", "secret": "whsec_" + "QUJD" * 8}

FORKS = """
import importlib, json, os, runpy, signal, sys, traceback
service, cases = sys.argv[1], json.load(sys.stdin)
importlib.import_module(f"services.{service}.app")
importlib.import_module(f"services.{service}.settings")

def live(case):
    for number, suffix in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{case['out']}.{suffix}", os.O_WRONLY | os.O_CREAT, 0o600), number)
    signal.alarm(20)  # for one that starts although it must not
    os.environ.clear()
    os.environ.update(case["environment"])
    sys.argv = ["services"]
    try:
        runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

def ended():
    pid, status = os.wait()
    print(json.dumps([running.pop(pid), os.waitstatus_to_exitcode(status)]), flush=True)

running = {}
for name, case in cases.items():
    if len(running) == 4:
        ended()
    pid = os.fork()
    if pid == 0:
        live(case)
    running[pid] = name
while running:
    ended()
"""


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong, and what the sentence must name."""

    name: str
    says: tuple[str, ...]
    change: Mapping[str, str | None] = field(default_factory=dict)
    """Settings without their prefix; None leaves one out."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files in the place of the repository's, by their name."""


COMMON = (
    *(
        Wrong(f"no {name.lower()}", (f"ROGATORY_{name} is not set",), {name: None})
        for name in ("KAFKA", "MONGO", "ID_KEY", "SEALING_KEY")
    ),
    Wrong("an id key that is none", ("ROGATORY_ID_KEY", "64 hexadecimal digits"), {"ID_KEY": SECRET}),
    Wrong("a short sealing key", ("ROGATORY_SEALING_KEY", "64 hexadecimal"), {"SEALING_KEY": "ab" * 16}),
    Wrong("two at once", ("ROGATORY_KAFKA is not set", "ROGATORY_ID_KEY"), {"KAFKA": None, "ID_KEY": SECRET}),
    Wrong("a port that is a word", ("ROGATORY_PORT",), {"PORT": "eighty"}),
    Wrong("a port beyond the last", ("ROGATORY_PORT",), {"PORT": "65536"}),
    Wrong("an unknown driver", ("ROGATORY_MONGO_DRIVER",), {"MONGO_DRIVER": "mongoose"}),
    Wrong("an unknown form of log", ("ROGATORY_LOG",), {"LOG": "xml"}),
    Wrong("a MongoDB that is none", ("ROGATORY_MONGO",), {"MONGO": f"http://u:{SECRET}@host"}),
    Wrong("a MongoDB without a host", ("ROGATORY_MONGO",), {"MONGO": "mongodb://"}),
    Wrong("a MongoDB with a wrong port", ("ROGATORY_MONGO",), {"MONGO": f"mongodb://u:{SECRET}@host:port/"}),
    Wrong("a Kafka without a port", ("ROGATORY_KAFKA",), {"KAFKA": SECRET}),
    Wrong("an empty Kafka", ("ROGATORY_KAFKA",), {"KAFKA": ""}),
    Wrong("a database that none can be", ("ROGATORY_DATABASE",), {"DATABASE": f"{SECRET}.x"}),
    Wrong("no partners file", ("nowhere.yaml",), {"PARTNERS": "/nowhere.yaml"}),
    Wrong("a folder as partners file", ("/usr",), {"PARTNERS": "/usr"}),
    Wrong("partners that are no YAML", ("partners.yaml",), files={"partners.yaml": "agencies: [}"}),
    Wrong("empty partners", ("partners.yaml",), files={"partners.yaml": ""}),
    Wrong(
        "an unknown key in the partners",
        ("partners.yaml", "agenceis", "agencies"),
        files={"partners.yaml": PARTNERS.replace("agencies:", "agenceis:")},
    ),
    Wrong(
        "two gateways on one channel",
        ("partners.yaml", "gateway"),
        files={"partners.yaml": PARTNERS.replace("gateway: interpol", "gateway: 24/7")},
    ),
    Wrong(
        "partners that name no law",
        ("partners.yaml", "elsewhere.yaml"),
        files={"partners.yaml": PARTNERS.replace("laws/azerbaijan.yaml", "laws/elsewhere.yaml")},
    ),
    Wrong("no law file", ("nowhere.yaml",), {"LAW": "/nowhere.yaml"}),
    Wrong("a law that is no YAML", ("law.yaml",), files={"law.yaml": "law: [}"}),
    Wrong("a law that is not UTF-8", ("law.yaml",), files={"law.yaml": "law: \udcff"}),
    Wrong(
        "a law with an unknown key",
        ("law.yaml", "zoen"),
        files={"law.yaml": LAW.replace("zone: Asia/Baku", "zoen: Asia/Baku")},
    ),
    Wrong(
        "a law that gives a type to an unknown authority",
        ("law.yaml", "security-servcie"),
        files={"law.yaml": LAW.replace("to: security-service", "to: security-servcie", 1)},
    ),
    Wrong("no assumption file", ("nowhere.yaml",), {"LAW_ASSUMPTIONS": "/nowhere.yaml"}),
)

OWN: Mapping[str, tuple[Wrong, ...]] = {
    "intake": (
        *(
            Wrong(f"no {name.lower()}", (f"ROGATORY_{name} is not set",), {name: None})
            for name in ("JWKS", "TOKEN_ISSUER", "TOKEN_AUDIENCE")
        ),
        Wrong("a JWKS that is no JSON", ("ROGATORY_JWKS",), files={"jwks.json": "{"}),
        Wrong("a JWKS without keys", ("ROGATORY_JWKS",), files={"jwks.json": '{"keys": []}'}),
        Wrong("a JWKS at no address", ("ROGATORY_JWKS",), {"JWKS": f"http://[{SECRET}"}),
        Wrong("no JWKS file", ("jwks",), {"JWKS": "/nowhere/jwks.json"}),
    ),
    "router": (),
    "notifier": (
        Wrong("no alerts file", ("nowhere.yaml",), {"ALERTS": "/nowhere.yaml"}),
        Wrong("alerts that are no YAML", ("alerts.yaml",), files={"alerts.yaml": "rules: [}"}),
        Wrong(
            "an audience with an unknown subscriber",
            ("alerts.yaml", "duty-officer"),
            files={"alerts.yaml": ALERTS.replace("{subscriber: duty-officers}", "{subscriber: duty-officer}", 1)},
        ),
        Wrong(
            "a rule about an unknown fact",
            ("alerts.yaml", "urgencies"),
            files={"alerts.yaml": ALERTS.replace("urgency: [emergency]", "urgencies: [emergency]", 1)},
        ),
        Wrong(
            "no rule that catches all",
            ("alerts.yaml", "last rule"),
            files={"alerts.yaml": ALERTS[: ALERTS.index("  - name: everything-else")]},
        ),
        Wrong("no webhook", ("ROGATORY_WEBHOOKS", "duty-officers"), {"WEBHOOKS": None}),
        Wrong("webhooks that are no JSON", ("ROGATORY_WEBHOOKS",), {"WEBHOOKS": SECRET}),
        Wrong("webhooks that are a list", ("ROGATORY_WEBHOOKS",), {"WEBHOOKS": f'["{SECRET}"]'}),
        Wrong(
            "a webhook for who has none",
            ("ROGATORY_WEBHOOKS", "operations"),
            {"WEBHOOKS": json.dumps({"duty-officers": WEBHOOK, "operations": WEBHOOK})},
        ),
        Wrong(
            "a webhook in the clear",
            ("ROGATORY_WEBHOOKS", "https"),
            {"WEBHOOKS": json.dumps({"duty-officers": WEBHOOK | {"url": f"http://example.org/{SECRET}"}})},
        ),
        Wrong(
            "a webhook to no host's name",
            ("ROGATORY_WEBHOOKS",),
            {"WEBHOOKS": json.dumps({"duty-officers": WEBHOOK | {"url": f"https://xn--a/{SECRET}"}})},
        ),
        Wrong(
            "a webhook's secret that is none",
            ("ROGATORY_WEBHOOKS", "secret"),
            {"WEBHOOKS": json.dumps({"duty-officers": WEBHOOK | {"secret": f"{SECRET}!"}})},
        ),
        Wrong(
            "a webhook without a secret",
            ("ROGATORY_WEBHOOKS",),
            {"WEBHOOKS": json.dumps({"duty-officers": {"url": f"https://example.org/{SECRET}"}})},
        ),
    ),
}

CASES = [("router", wrong) for wrong in COMMON] + [(name, wrong) for name, own in OWN.items() for wrong in own]
CASES += [(name, COMMON[0]) for name in ("intake", "notifier")]


def environment_of(wrong: Wrong, folder: Path) -> dict[str, str]:
    """Settings that are right but for what is wrong."""
    (folder / "laws").mkdir(parents=True)
    right = {"partners.yaml": PARTNERS, "law.yaml": LAW, "laws/azerbaijan.yaml": LAW, "alerts.yaml": ALERTS}
    right["jwks.json"] = json.dumps(make_key()[1])
    for name, text in {**right, **wrong.files}.items():
        (folder / name).write_text(text, errors="surrogateescape")
    settings: dict[str, str | None] = {
        "KAFKA": "127.0.0.1:9",
        "MONGO": f"mongodb://user:{SECRET}@127.0.0.1:9/?replicaSet=none",
        "ID_KEY": "00" * 32,
        "SEALING_KEY": "00" * 32,
        "PARTNERS": str(folder / "partners.yaml"),
        "LAW": str(folder / "law.yaml") if "law.yaml" in wrong.files else None,
        "ALERTS": str(folder / "alerts.yaml"),
        "JWKS": str(folder / "jwks.json"),
        "TOKEN_ISSUER": "https://issuer",
        "TOKEN_AUDIENCE": "rogatory",
        "WEBHOOKS": json.dumps({"duty-officers": WEBHOOK}),
        "PORT": "0",
    }
    told = {f"ROGATORY_{name}": value for name, value in {**settings, **wrong.change}.items() if value is not None}
    return told | {"PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Ended]:
    """How every case ended."""
    found: dict[tuple[str, str], Ended] = {}
    for service in OWN:
        folder = tmp_path_factory.mktemp(service)
        cases = {
            wrong.name: {"environment": environment_of(wrong, folder / str(n)), "out": str(folder / f"{n}")}
            for n, (name, wrong) in enumerate(CASES)
            if name == service
        }
        run = subprocess.run(
            [sys.executable, "-c", FORKS, service],
            input=json.dumps(cases),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            cwd=ROOT,
        )
        for line in run.stdout.splitlines():
            name, code = json.loads(line)
            out = str(cases[name]["out"])
            found[service, name] = Ended(code, Path(f"{out}.out").read_text(), Path(f"{out}.err").read_text())
    return found


@pytest.mark.parametrize(("service", "wrong"), CASES, ids=lambda one: one if isinstance(one, str) else one.name)
def test_what_is_wrong_stops_the_start_with_one_sentence(
    ended: dict[tuple[str, str], Ended], service: str, wrong: Wrong
) -> None:
    end = ended[service, wrong.name]

    assert end.code == 2, end.err
    [sentence] = end.err.splitlines()
    assert sentence.startswith(f"rogatory {service} cannot start: ")
    for word in wrong.says:
        assert word in sentence
    assert SECRET not in end.err + end.out
    assert "Traceback" not in end.err + end.out
