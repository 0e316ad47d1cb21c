"""The routing with Quix Streams, as its documentation splits a topic, run by the Python of its environment.

    python -I quix_app.py SETTINGS

SETTINGS is JSON: where Kafka is, the topics, the routes, and what else the application and its clients are told.
"""

import json
import sys
from typing import Any

from quixstreams import Application


def main(settings: dict[str, Any]) -> None:
    """Route letters by their type until SIGTERM."""
    app = Application(
        broker_address=settings["kafka"],
        consumer_group=settings["group"],
        auto_offset_reset="earliest",
        **settings["tuned"],
    )
    letters = app.topic(settings["letters"], value_deserializer="json")
    topics = {to: app.topic(name, value_serializer="json") for to, name in settings["topics"].items()}
    routes = settings["routes"]

    def by_type(value: Any, key: Any, timestamp: int, headers: Any) -> Any:
        return topics[routes[value["measures"][0]["type"]]]

    app.dataframe(letters).to_topic(by_type)
    app.run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
