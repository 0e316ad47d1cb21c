"""The running totals against the records at one and the same moment, and how they are put right."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from shared.failures import BadStart
from shared.mongo import Mongo
from shared.recount import Recount, mend, recount
from verify.accounts import terms_by
from verify.deployment import Deployment
from verify.settings import VerifySettings

Differs = Mapping[str, tuple[int, int]]
"""By term, what was kept and what there is."""


class Recounting:
    """Counts collections anew; the connection is the services' own, for it reads their snapshots."""

    def __init__(self, mongo: Mongo, deployment: Deployment) -> None:
        self._mongo, self._terms = mongo, terms_by(deployment.life.ends)

    async def differs(self, collection: str) -> Differs:
        """What does not agree of a collection; raises `TryAgain`."""
        return _of(await recount(self._mongo, collection, self._terms[collection]))

    async def mend(self, by: str) -> dict[str, Differs]:
        """Put right what does not agree, in somebody's name: by collection, what it was.

        Raises `BadStart` where a record is damaged, for nobody can tell what it counts for, and `TryAgain`.
        """
        counted = {name: await recount(self._mongo, name, terms) for name, terms in self._terms.items()}
        if damaged := [f"{name}/{record}" for name, found in counted.items() for record in found.damaged]:
            raise BadStart(
                f"what {len(damaged)} damaged records count for is not known, so the totals stay as they are; "
                f"the first is {damaged[0]}, and `rogatory verify` names all"
            )
        mended = {}
        for collection, found in counted.items():
            if found.differs:
                await mend(self._mongo, found, by, await self._mongo.time())
                mended[collection] = _of(found)
        return mended


@asynccontextmanager
async def recounting(settings: VerifySettings, deployment: Deployment) -> AsyncIterator[Recounting]:
    """Connected during the block."""
    mongo = Mongo(settings.mongo.get_secret_value(), settings.database)
    try:
        yield Recounting(mongo, deployment)
    finally:
        await mongo.close()


def _of(found: Recount) -> Differs:
    return {term: (found.kept.get(term, 0), found.counted.get(term, 0)) for term in found.differs}
