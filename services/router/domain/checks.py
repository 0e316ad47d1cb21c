"""What the table and the code must agree on, checked at the start and not message by message."""

from collections.abc import Mapping

from services.router.domain.effects import NEEDS as NEEDED_BY_EFFECTS
from services.router.domain.guards import GUARDS
from services.router.domain.guards import NEEDS as NEEDED_BY_GUARDS
from shared.failures import BadStart
from shared.life_cycle import LifeCycle
from shared.yaml_file import did_you_mean


def check_life_cycle(life: LifeCycle) -> None:
    """Raises `BadStart` with one sentence."""
    for guard in life.guards:
        if guard not in GUARDS:
            raise BadStart(f"life cycle: there is no guard '{guard}' in this build{did_you_mean(guard, GUARDS)}")
    for name, rule in life.updates.items():
        used = {guard for row in rule.rows.values() for guard in row.guards}
        needed = {guard: NEEDED_BY_GUARDS.get(guard, frozenset()) for guard in used}
        _has(name, rule.text.fields, {f"the guard '{guard}'": fields for guard, fields in needed.items()})
        _has(name, rule.text.fields, {"what follows from it": NEEDED_BY_EFFECTS.get(name, frozenset())})


def _has(name: str, fields: Mapping[str, object], needed: Mapping[str, frozenset[str]]) -> None:
    for what, wanted in needed.items():
        for field in sorted(wanted - fields.keys()):
            raise BadStart(f"life cycle: the update '{name}' has no field '{field}', which {what} needs")
