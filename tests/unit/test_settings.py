"""Settings: what is wrong is said in one sentence that names the variable and never its value."""

import os
from pathlib import Path

import pytest

from services.intake.settings import IntakeSettings
from services.notifier.settings import NotifierSettings
from services.router.settings import RouterSettings
from shared.failures import BadStart
from shared.settings import Settings, read_settings

SECRET = "c0ffee"
GOOD = {
    "ROGATORY_KAFKA": "localhost:9092",
    "ROGATORY_MONGO": f"mongodb://rogatory:{SECRET}@localhost/",
    "ROGATORY_ID_KEY": "ab" * 32,
    "ROGATORY_SEALING_KEY": "cd" * 32,
    "ROGATORY_JWKS": "keys.json",
    "ROGATORY_TOKEN_ISSUER": "https://issuer.example",
    "ROGATORY_TOKEN_AUDIENCE": "rogatory",
}
SERVICES: tuple[type[Settings], ...] = (IntakeSettings, RouterSettings, NotifierSettings)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing set but what every service needs."""
    for name in [name for name in os.environ if name.startswith("ROGATORY_")]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("kind", SERVICES)
def test_what_is_given_is_read_and_the_rest_has_its_default(
    environment: pytest.MonkeyPatch, kind: type[Settings]
) -> None:
    environment.setenv("ROGATORY_LAW_ASSUMPTIONS", "laws/assumptions/in-force.yaml,other.yaml")

    settings = read_settings(kind)

    assert settings.kafka == "localhost:9092"
    assert settings.id_key.get_secret_value() == b"\xab" * 32
    assert settings.law_assumptions == [Path("laws/assumptions/in-force.yaml"), Path("other.yaml")]
    assert (settings.partners, settings.law, settings.host) == (Path("partners.yaml"), None, "127.0.0.1")


def test_every_service_has_a_port_of_its_own() -> None:
    ports = {kind.model_fields["port"].default for kind in SERVICES}

    assert len(ports) == len(SERVICES)


def test_private_networks_are_read_from_a_list_with_commas(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ROGATORY_OWN_NETWORKS", "10.1.0.0/16,fd00::/8")

    networks = read_settings(NotifierSettings).own_networks

    assert [str(network) for network in networks] == ["10.1.0.0/16", "fd00::/8"]


def test_the_targets_of_webhooks_are_read_from_json(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ROGATORY_WEBHOOKS", '{"operations": {"url": "https://x.example", "secret": "whsec_c2VjcmV0"}}')

    targets = read_settings(NotifierSettings).webhooks

    assert targets["operations"].url == "https://x.example"
    assert "c2VjcmV0" not in repr(targets)


NOT_A_KEY = "is wrong: must be 64 hexadecimal digits (32 random bytes: openssl rand -hex 32)"
WRONG: dict[str, tuple[type[Settings], dict[str, str | None], str]] = {
    "Kafka is not set": (RouterSettings, {"ROGATORY_KAFKA": None}, "ROGATORY_KAFKA is not set"),
    "a secret is not set": (RouterSettings, {"ROGATORY_MONGO": None}, "ROGATORY_MONGO is not set"),
    "a key is not set": (RouterSettings, {"ROGATORY_SEALING_KEY": None}, "ROGATORY_SEALING_KEY is not set"),
    "a key is too short": (RouterSettings, {"ROGATORY_ID_KEY": SECRET}, f"ROGATORY_ID_KEY {NOT_A_KEY}"),
    "a key is empty": (RouterSettings, {"ROGATORY_ID_KEY": ""}, f"ROGATORY_ID_KEY {NOT_A_KEY}"),
    "a key is no hexadecimal": (RouterSettings, {"ROGATORY_ID_KEY": f"{SECRET}!" * 9}, f"ROGATORY_ID_KEY {NOT_A_KEY}"),
    "a port that cannot be": (
        RouterSettings,
        {"ROGATORY_PORT": "70000"},
        "ROGATORY_PORT is wrong: Input should be less than or equal to 65535",
    ),
    "a port that is no number": (
        RouterSettings,
        {"ROGATORY_PORT": SECRET},
        "ROGATORY_PORT is wrong: Input should be a valid integer, unable to parse string as an integer",
    ),
    "another driver": (
        RouterSettings,
        {"ROGATORY_MONGO_DRIVER": SECRET},
        "ROGATORY_MONGO_DRIVER is wrong: Input should be 'motor' or 'pymongo'",
    ),
    "two at once": (
        RouterSettings,
        {"ROGATORY_KAFKA": None, "ROGATORY_LOG": SECRET},
        "ROGATORY_KAFKA is not set; ROGATORY_LOG is wrong: Input should be 'json' or 'terminal'",
    ),
    **{
        f"Kafka at {address!r}": (
            RouterSettings,
            {"ROGATORY_KAFKA": address},
            "ROGATORY_KAFKA is wrong: must be host:port, or several of these with commas between",
        )
        for address in ("", SECRET, f"{SECRET}:", f"{SECRET}:port", f"{SECRET}:0", f"{SECRET}:65536", f"{SECRET}:1,")
    },
    **{
        f"a database {name!r}": (
            RouterSettings,
            {"ROGATORY_DATABASE": name},
            "ROGATORY_DATABASE is wrong: must be 1 to 38 letters, digits, hyphens and underscores",
        )
        for name in ("", f"{SECRET}.x", f"{SECRET} x", f"${SECRET}", SECRET * 7, f"{SECRET}\n")
    },
    **{
        f"keys at {address!r}": (
            IntakeSettings,
            {"ROGATORY_JWKS": address},
            "ROGATORY_JWKS is wrong: must be a file, or an address like https://host/...",
        )
        for address in (f"http://[{SECRET}", "https://", f"https://{SECRET}:port/")
    },
    "no keys for tokens": (IntakeSettings, {"ROGATORY_JWKS": None}, "ROGATORY_JWKS is not set"),
    "no issuer": (IntakeSettings, {"ROGATORY_TOKEN_ISSUER": None}, "ROGATORY_TOKEN_ISSUER is not set"),
    "no audience": (IntakeSettings, {"ROGATORY_TOKEN_AUDIENCE": None}, "ROGATORY_TOKEN_AUDIENCE is not set"),
    "no keys for the notifier": (NotifierSettings, {"ROGATORY_JWKS": None}, "ROGATORY_JWKS is not set"),
    "a way to people that is no JSON": (
        NotifierSettings,
        {"ROGATORY_SMTP": f"{{{SECRET}"},
        "ROGATORY_SMTP is wrong: it is not JSON",
    ),
    "a way to people without a host": (
        NotifierSettings,
        {"ROGATORY_SMTP": f'{{"password": "{SECRET}", "sender": "desk@example.org"}}'},
        "ROGATORY_SMTP (host) is not set",
    ),
    "links to nowhere": (
        NotifierSettings,
        {"ROGATORY_PUBLIC_URL": SECRET},
        "ROGATORY_PUBLIC_URL is wrong: must be an address like https://host/...",
    ),
    "an Alertmanager nowhere": (
        NotifierSettings,
        {"ROGATORY_ALERTMANAGER": f"https://{SECRET}:port/"},
        "ROGATORY_ALERTMANAGER is wrong: must be an address like https://host/...",
    ),
    "webhooks that are no JSON": (
        NotifierSettings,
        {"ROGATORY_WEBHOOKS": f"{{{SECRET}"},
        "ROGATORY_WEBHOOKS is wrong: it is not JSON",
    ),
    "webhooks that are a list": (
        NotifierSettings,
        {"ROGATORY_WEBHOOKS": f'["{SECRET}"]'},
        "ROGATORY_WEBHOOKS is wrong: Input should be a valid dictionary",
    ),
    "a webhook without a secret": (
        NotifierSettings,
        {"ROGATORY_WEBHOOKS": f'{{"operations": {{"url": "{SECRET}"}}}}'},
        "ROGATORY_WEBHOOKS (operations, secret) is not set",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_one_sentence_with_its_name_and_never_its_value(
    environment: pytest.MonkeyPatch, case: str
) -> None:
    kind, changed, sentence = WRONG[case]
    for name, value in changed.items():
        if value is None:
            environment.delenv(name)
        else:
            environment.setenv(name, value)

    with pytest.raises(BadStart) as refusal:
        read_settings(kind)

    assert str(refusal.value) == sentence
    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("address", ["kafka:9092", "127.0.0.1:1,kafka-2.example:65535", "[::1]:9092"])
def test_kafka_may_be_at_several_addresses(environment: pytest.MonkeyPatch, address: str) -> None:
    environment.setenv("ROGATORY_KAFKA", address)

    assert read_settings(RouterSettings).kafka == address


def test_secrets_are_not_printed(environment: pytest.MonkeyPatch) -> None:
    settings = read_settings(RouterSettings)

    for secret in (SECRET, "ab" * 32, repr(b"\xab" * 32)):
        assert secret not in repr(settings)


def test_settings_stay_as_they_were_read(environment: pytest.MonkeyPatch) -> None:
    settings = read_settings(RouterSettings)

    with pytest.raises(ValueError):
        settings.port = 1  # type: ignore[misc]  # what the type checker forbids is forbidden at run time too
