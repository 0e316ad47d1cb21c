"""`python -m deploy.k8s.topics [PARTNERS_FILE]` prints `base/topics.yaml`: one KafkaTopic for every topic in code.

ROGATORY_LAW names another law than the partners file does, as it does for the services.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from shared.failures import BadStart
from shared.law import load_law
from shared.partners import load_partners
from shared.topics import CHECKPOINTS, all_topics

ROOT = Path(__file__).resolve().parents[2]

_HEAD = """\
# Made by `python -m deploy.k8s.topics` from partners.yaml and its law; do not edit.
# The number of partitions is a contract: keys hash to it, so another number breaks the order per key.
"""
_TOPIC = """\
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata: {{name: {name}, labels: {{strimzi.io/cluster: rogatory}}}}
spec: {{topicName: {name}, partitions: {partitions}, replicas: 3, config: {{{config}{more}}}}}
"""
_CONFIG = "min.insync.replicas: 2, max.message.bytes: 1048588"
"""A batch has 1 MB, Kafka's default: readers are made for that, whatever the cluster lets through elsewhere."""
_MORE = {CHECKPOINTS: ", retention.ms: -1"}
"""What must be there for as long as the records are."""


def topics_of(partners_file: Path, law_file: Path | None = None) -> dict[str, int]:
    """Every topic that these partners and their law, or this one, need, with its number of partitions."""
    partners = load_partners(partners_file)
    law = load_law(law_file or partners.law_file)
    return all_topics(law.authorities, partners.agencies, partners.subscribers)


def manifest(topics: Mapping[str, int]) -> str:
    """The KafkaTopics as YAML, in the order of their names."""
    forms = (
        _TOPIC.format(name=name, partitions=topics[name], config=_CONFIG, more=_MORE.get(name, ""))
        for name in sorted(topics)
    )
    return _HEAD + "".join(forms)


def main() -> None:
    """Print the manifest; exit code 2 with one sentence for a wrong file."""
    partners_file = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "partners.yaml"
    named = os.environ.get("ROGATORY_LAW")
    try:
        print(manifest(topics_of(partners_file, Path(named) if named else None)), end="")
    except BadStart as fault:
        print(fault, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
