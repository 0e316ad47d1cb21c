"""The metrics of a service; every label's values are a closed list, and every label set starts at 0."""

import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

from shared.events import TYPES
from shared.partners import NoticeChannel
from shared.vocabulary import Lane

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LONG = (*SECONDS, 300, 3_600, 86_400)
"""For what may have waited through an outage."""
OUTCOMES = ("new", "repeated", "refused")
REASONS = (
    "null value",
    "null header",
    "undecodable header",
    "unknown event type",
    "unknown event version",
    "too large",
    "another agency's name",
    "not a letter",
    "not an update",
    "no such case",
    "not this authority's case",
    "too many rejected updates",
    "other",
)
"""The reasons of quarantine that have a count of their own; every other is counted as `other` and told on the entry."""
SOURCES = ("kafka", "http", "clock", "replay")


class Metrics:
    """One registry and its metrics, made once per process and handed to whoever counts."""

    def __init__(self, service: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # half as many lines, and nobody asks for them
        self.registry = r = CollectorRegistry()
        ProcessCollector(registry=r)
        build = Gauge("rogatory_build_info", "What runs.", ("service", "version", "python"), registry=r)
        build.labels(service, version("rogatory"), platform.python_version()).set(1)
        self.messages = Counter(
            "rogatory_messages_total",
            "Messages heard, by source and by what became of them.",
            ("source", "outcome"),
            registry=r,
        )
        for source in SOURCES:
            for outcome in OUTCOMES:
                self.messages.labels(source, outcome)
        self.events = Counter("rogatory_events_total", "Events that entered a history, by type.", ("type",), registry=r)
        for event_type in TYPES:
            self.events.labels(event_type)
        self.batch_seconds = Histogram(
            "rogatory_batch_seconds",
            "From a batch's read to its last write by majority.",
            ("source",),
            buckets=SECONDS,
            registry=r,
        )
        self.reruns = Counter(
            "rogatory_batch_reruns_total", "Batches run again because a write lost a race.", registry=r
        )
        self.batches_again = Counter(
            "rogatory_batches_again_total",
            "Batches of Kafka that were not kept and come again whole, by why.",
            ("why",),
            registry=r,
        )
        for why in ("away", "newer build", "bug"):
            self.batches_again.labels(why)
        self.sent = Counter("rogatory_events_sent_total", "Events acknowledged by Kafka.", registry=r)
        self.refused = Counter("rogatory_events_refused_total", "Events that Kafka refused.", registry=r)
        self.accept_to_sent = Histogram(
            "rogatory_event_age_seconds",
            "From an event's time to Kafka's acknowledgement.",
            buckets=SECONDS,
            registry=r,
        )
        self.unsent = Gauge(
            "rogatory_records_unsent", "Records with events still to be sent.", ("collection",), registry=r
        )
        self.unsent_oldest = Gauge(
            "rogatory_records_unsent_oldest_timestamp_seconds",
            "Since when the oldest of them waits; 0 if none does.",
            ("collection",),
            registry=r,
        )
        self.quarantined = Counter(
            "rogatory_quarantined_total", "Records that were set aside whole, by reason.", ("reason",), registry=r
        )
        self.held = Gauge(
            "rogatory_quarantine_held",
            "Entries that are held, by reason and lane (urgent: also what may be); counted up to 100,000 each.",
            ("reason", "lane"),
            registry=r,
        )
        self.held_oldest = Gauge(
            "rogatory_quarantine_held_oldest_timestamp_seconds",
            "Since when the oldest of them is held; 0 if none is.",
            registry=r,
        )
        self.replays = Counter(
            "rogatory_quarantine_replays_total", "Entries tried again, by outcome.", ("outcome",), registry=r
        )
        for outcome in ("taken", "nothing to do", "held"):
            self.replays.labels(outcome)
        self.discards = Counter(
            "rogatory_quarantine_discards_total", "Entries that people discarded, by outcome.", ("outcome",), registry=r
        )
        for outcome in ("proposed", "discarded", "refused"):
            self.discards.labels(outcome)
        self.looks = Counter(
            "rogatory_quarantine_looks_total", "How often somebody read what an entry says.", ("how",), registry=r
        )
        for how in ("look", "export"):
            self.looks.labels(how)
        self.lag = Gauge(
            "rogatory_consumer_lag_messages", "Records behind the end.", ("topic", "partition"), registry=r
        )
        self.away = Gauge(
            "rogatory_dependency_away", "1 while a dependency does not answer.", ("dependency",), registry=r
        )
        for dependency in ("kafka", "mongodb"):
            self.away.labels(dependency).set(0)
        self.deliveries = Counter(
            "rogatory_deliveries_total",
            "Attempts to deliver notices, by channel and outcome.",
            ("channel", "outcome"),
            registry=r,
        )
        self.notice_seconds = Histogram(
            "rogatory_notice_seconds",
            "From when a notice was raised until its channel took it.",
            ("channel",),
            buckets=LONG,
            registry=r,
        )
        # Kafka's own acknowledgement is counted with every other event.
        for channel in set(NoticeChannel) - {NoticeChannel.KAFKA}:
            self.notice_seconds.labels(channel)
            for outcome in ("delivered", "failed"):
                self.deliveries.labels(channel, outcome)
        self.ladder_steps = Counter(
            "rogatory_ladder_steps_total", "Steps of ladders that were taken; the first is its beginning.", registry=r
        )
        self.ladder_lateness = Histogram(
            "rogatory_ladder_lateness_seconds",
            "From when a ladder's step was due until it was taken; after an outage it counts the outage.",
            buckets=LONG,
            registry=r,
        )
        self.simulated = Gauge(
            "rogatory_simulated_time", "1 where letters and cases live in a simulated time.", registry=r
        )
        self.updates_read_until = Gauge(
            "rogatory_updates_read_until_timestamp_seconds",
            "Everything that authorities wrote before this has been read; 0: not known.",
            registry=r,
        )
        self.clocks_fired = Counter(
            "rogatory_clocks_fired_total", "Steps of clocks that fired, by kind.", ("kind",), registry=r
        )
        for kind in ("statutory", "requested", "policy"):
            self.clocks_fired.labels(kind)
        self.clock_lateness = Histogram(
            "rogatory_clock_lateness_seconds",
            "From when a clock's step was due until it had fired; after an outage it counts the outage.",
            buckets=LONG,
            registry=r,
        )
        self.clock_oldest_due = Gauge(
            "rogatory_clocks_due_oldest_timestamp_seconds",
            "When the oldest step was due that has not fired; 0 if there is none.",
            registry=r,
        )
        for reason in REASONS:
            self.quarantined.labels(reason)
            for lane in Lane:
                self.held.labels(reason, lane)
