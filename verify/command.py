"""A verification put together from its settings: the servers, the state's folder, the run."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from shared.failures import BadStart
from shared.settings import faults_of
from verify.again import WAITS, Told
from verify.deployment import Deployment
from verify.documents import Mongo
from verify.findings import Report
from verify.recounting import Differs, recounting
from verify.running import Asked, Verification
from verify.settings import VerifySettings
from verify.shards import Shards
from verify.topics import Kafka


def settings_from(environment: Mapping[str, str]) -> VerifySettings:
    """The settings in an environment; raises `BadStart` with every wrong variable by name, never its value."""
    told = {name.removeprefix("ROGATORY_").lower(): value for name, value in environment.items() if value}
    wanted = VerifySettings.model_fields.keys()
    try:
        return VerifySettings.model_validate({name: value for name, value in told.items() if name in wanted})
    except ValidationError as error:
        raise BadStart(faults_of(error)) from None


def verified(
    environment: Mapping[str, str],
    asked: Asked,
    state: Path,
    told: Told = lambda *_: None,
    waits: tuple[float, ...] = WAITS,
) -> Report:
    """Verify a deployment; raises `BadStart`, and `TryAgain` where a server is away.

    `state`: the folder in which it keeps how far it is.
    """
    settings = settings_from(environment)
    with Mongo(settings.mongo.get_secret_value(), settings.database) as documents:

        async def run() -> Report:
            deployment, shards = Deployment.of(settings), Shards(state)
            async with Kafka(settings.kafka) as topics, recounting(settings, deployment) as counting:
                parts = deployment, topics, documents, shards, asked, told, waits
                return await Verification(*parts, recount=counting.differs).run()

        return asyncio.run(run())


def mended(environment: Mapping[str, str], by: str) -> Mapping[str, Differs]:
    """Put the running totals right in somebody's name: by collection, what was kept and what there is."""
    settings = settings_from(environment)

    async def run() -> Mapping[str, Differs]:
        async with recounting(settings, Deployment.of(settings)) as counting:
            return await counting.mend(by)

    return asyncio.run(run())
