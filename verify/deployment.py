"""What is verified: the deployment's keys, law, life cycle and partners, and which topics follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from shared import topics
from shared.checkpoints.checkpoint import SigningKey
from shared.ids import Ids
from shared.law import Law, load_law
from shared.life_cycle import LifeCycle, load_life_cycle
from shared.partners import Partners, load_partners
from shared.sealing import Sealer
from shared.vocabulary import DESK, Lane
from verify.anchored import keys_of
from verify.inputs import Input, inputs_of
from verify.settings import VerifySettings, servers_in


@dataclass(frozen=True)
class Deployment:
    """One deployment, as its settings and files say it."""

    ids: Ids
    sealer: Sealer | None
    law: Law
    life: LifeCycle
    partners: Partners
    name: str = field(default="")
    """By which a state of a verification is known again."""
    checkpoint_keys: Mapping[str, bytes] = field(default_factory=dict)
    """The public keys by which checkpoints are checked, by their names."""
    servers: Mapping[str, str] = field(default_factory=dict)
    """Kafka, MongoDB and the database, as people are told of them: without credentials."""

    @classmethod
    def of(cls, settings: VerifySettings) -> Self:
        """As the settings say; raises `BadStart` for a wrong file."""
        partners = load_partners(settings.partners)
        law = load_law(settings.law or partners.law_file, settings.law_assumptions)
        sealer = Sealer(settings.sealing_key.get_secret_value()) if settings.sealing_key else None
        ids, life = Ids(settings.id_key.get_secret_value()), load_life_cycle(settings.life_cycle, law)
        name, mongo = f"{settings.kafka} {settings.database}", servers_in(settings.mongo.get_secret_value())
        servers = {"kafka": servers_in(settings.kafka), "mongo": mongo, "database": settings.database}
        return cls(ids, sealer, law, life, partners, name, _keys(settings), servers)

    @cached_property
    def outputs(self) -> list[str]:
        """The topics on which our services write."""
        names = []
        for lane in Lane:
            names += [topics.letters_received(lane), topics.case_events(lane), topics.answers_due(lane)]
            names += [topics.cases_of(one, lane) for one in (*self.law.authorities, DESK)]
        names += [topics.answers_to(one) for one in self.partners.agencies]
        names += [topics.notices_to(one) for one in self.partners.subscribers]
        return [*names, topics.ALERTS_RAISED, topics.CHECKPOINTS]

    @cached_property
    def inputs(self) -> list[Input]:
        """What our services read."""
        return inputs_of(self.law, self.life, self.partners, self.ids)

    @cached_property
    def topics(self) -> list[str]:
        """All that is read: what is written first."""
        return list(dict.fromkeys([*self.outputs, *(one.topic for one in self.inputs)]))

    @cached_property
    def groups(self) -> list[str]:
        """The consumer groups of our services."""
        return list(dict.fromkeys(one.group for one in self.inputs))


def _keys(settings: VerifySettings) -> Mapping[str, bytes]:
    """The public keys that are given, and the one of the signing key where that is known."""
    given = [key.get_secret_value() for key in settings.checkpoint_public_keys]
    if settings.checkpoint_key:
        given.append(SigningKey(settings.checkpoint_key.get_secret_value()).public)
    return keys_of(given)
