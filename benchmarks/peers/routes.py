"""What the law answers by request type alone: the routing that a peer is given."""

from collections.abc import Mapping
from datetime import date

from benchmarks.prepared import ASSUMPTIONS, PARTNERS
from deploy.local.jars import ROOT
from shared.law import load_law
from shared.partners import load_partners
from shared.vocabulary import DESK, Direction

DAY = date(2026, 11, 1)


def routes() -> Mapping[str, str]:
    """Request type -> the authority that gets an incoming letter of it, or the desk."""
    law = load_law(ROOT / load_partners(PARTNERS).law_file, ASSUMPTIONS)
    return {type: law.named(type, Direction.INCOMING, DAY) or DESK for type in law.request_types}
