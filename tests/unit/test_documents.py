"""Every service's OpenAPI document says what its routes do: of whole services that are put together, and never run."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.local.deployment import Deployment
from services.intake.app import build as intake
from services.intake.settings import IntakeSettings
from services.notifier.app import build as notifier
from services.notifier.settings import NotifierSettings
from services.router.app import build as router
from services.router.settings import RouterSettings
from shared.document import all_operations, mend, null_is_left_out
from shared.platform import connect

Document = dict[str, Any]
SERVICES: dict[str, tuple[Any, Any]] = {
    "intake": (IntakeSettings, intake),
    "router": (RouterSettings, router),
    "notifier": (NotifierSettings, notifier),
}


@pytest.fixture(scope="module")
async def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each service as an application."""
    local = Deployment.prepare(tmp_path_factory.mktemp("deployment"))
    told = local.settings("127.0.0.1:1", "mongodb://127.0.0.1:1", "http://127.0.0.1:1")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        for name, (kind, build) in SERVICES.items():
            platform = connect(name, kind())
            found[name] = build(platform, platform.settings)
    return found


def client_of(app: Any) -> httpx.AsyncClient:
    """Who asks an application."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


@pytest.fixture(scope="module")
async def documents(apps: dict[str, Any]) -> dict[str, Document]:
    """What each service serves at `/openapi.json`."""
    found = {}
    for name, app in apps.items():
        async with client_of(app) as client:
            found[name] = (await client.get("/openapi.json")).raise_for_status().json()
    return found


def parameters(document: Document) -> Iterator[Document]:
    """Every parameter of every operation."""
    for operation in all_operations(document):
        yield from operation.get("parameters", ())


@pytest.mark.parametrize("service", SERVICES)
def test_no_parameter_may_be_null(documents: dict[str, Document], service: str) -> None:
    schemas = [one["schema"] for one in parameters(documents[service])]

    assert schemas
    assert not [one for one in schemas if "null" in str(one)]
    assert all("type" in one for one in schemas)


def test_what_a_parameter_must_be_stays_when_null_goes(documents: dict[str, Document]) -> None:
    listed = documents["intake"]["paths"]["/v1/quarantine"]["get"]["parameters"]
    named = {one["name"]: one for one in listed}

    assert named["older_than"]["schema"] == {"type": "string", "format": "date-time", "title": "Older Than"}
    assert named["topic"]["schema"] == {"type": "string", "maxLength": 249, "title": "Topic"}
    assert named["limit"]["schema"]["maximum"] == 500
    assert not named["older_than"]["required"]


def test_a_parameter_with_several_forms_keeps_them() -> None:
    text, number, null = {"type": "string"}, {"type": "integer"}, {"type": "null"}
    document = {"paths": {"/x": {"get": {"parameters": [{"schema": {"anyOf": [text, number, null], "title": "X"}}]}}}}

    mend(document)

    [parameter] = parameters(document)
    assert parameter["schema"] == {"anyOf": [text, number], "title": "X"}


def test_what_may_be_left_out_of_what_is_read_without_nulls_may_be_null() -> None:
    text, null = {"type": "string"}, {"type": "null"}
    schema = {
        "properties": {
            "needed": text,
            "left": text,
            "both": {"anyOf": [text, null]},
            "within": {"properties": {"x": text}},
        },
        "required": ["needed", "within"],
    }

    assert null_is_left_out([schema]) == [
        {
            "properties": {
                "needed": text,
                "left": {"anyOf": [text, null]},
                "both": {"anyOf": [text, null]},
                "within": {"properties": {"x": {"anyOf": [text, null]}}},
            },
            "required": ["needed", "within"],
        }
    ]


def test_the_codes_that_there_are_stand_in_the_documents(documents: dict[str, Document]) -> None:
    schemas = documents["intake"]["components"]["schemas"]
    asked = {one["name"]: one["schema"] for one in documents["router"]["paths"]["/v1/cases"]["get"]["parameters"]}

    assert "data_preservation" in schemas["Measure"]["properties"]["type"]["enum"]
    assert "AZ" in schemas["Letter"]["properties"]["party"]["enum"]
    assert {"desk", "security-service"} <= {*asked["authority"]["enum"]}
    assert {"triage", "closed"} <= {*asked["status"]["enum"]}
    assert "data_preservation" in asked["type"]["enum"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_needs_a_token(documents: dict[str, Document], service: str) -> None:
    document = documents[service]

    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert all("security" not in one for one in all_operations(document))
    assert all({"401", "403"} <= one["responses"].keys() for one in all_operations(document))


@pytest.mark.parametrize("service", SERVICES)
def test_every_refusal_is_a_problem_with_its_headers(documents: dict[str, Document], service: str) -> None:
    headers = {"401": "WWW-Authenticate", "415": "Accept", "429": "Retry-After", "503": "Retry-After"}
    told = [(status, one) for o in all_operations(documents[service]) for status, one in o["responses"].items()]

    for status, answer in told:
        if status[0] in "45":
            assert answer["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert [*answer.get("headers", ())] == ([headers[status]] if status in headers else [])


@pytest.mark.parametrize("service", SERVICES)
def test_every_reference_leads_somewhere(documents: dict[str, Document], service: str) -> None:
    document = documents[service]

    for reference in texts_at("$ref", document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


@pytest.mark.parametrize("service", SERVICES)
def test_what_stands_in_json_is_never_called_binary(documents: dict[str, Document], service: str) -> None:
    assert "binary" not in texts_at("format", documents[service])


def texts_at(name: str, node: Any) -> Iterator[str]:
    """Every text of this name within."""
    if isinstance(node, dict):
        yield from ([node[name]] if isinstance(node.get(name), str) else [])
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from texts_at(name, one)


@pytest.mark.parametrize("service", SERVICES)
def test_no_two_operations_share_a_name(documents: dict[str, Document], service: str) -> None:
    names = [one["operationId"] for one in all_operations(documents[service])]

    assert len(names) == len({*names})


@pytest.mark.parametrize("service", SERVICES)
async def test_who_asks_by_another_method_hears_of_every_one_that_there_is(
    apps: dict[str, Any], documents: dict[str, Document], service: str
) -> None:
    async with client_of(apps[service]) as client:
        for path, operations_there in documents[service]["paths"].items():
            refused = await client.request("TRACE", path)

            assert (refused.status_code, refused.json()["status"]) == (405, 405)
            assert refused.headers["allow"].split(", ") == sorted(method.upper() for method in operations_there)
