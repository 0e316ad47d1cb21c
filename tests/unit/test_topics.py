"""The names of topics: two lanes, who may see content, who may see the letter, and one list that is whole."""

import inspect
import itertools
from collections.abc import Callable

import pytest

from shared import topics
from shared.vocabulary import DESK, Lane

AUTHORITIES, AGENCIES, SUBSCRIBERS = ("security-service", "justice-ministry"), ("contact-point",), ("operations",)

OWNERS: dict[str, tuple[str, ...]] = {
    "authority": (*AUTHORITIES, DESK),
    "agency": AGENCIES,
    "subscriber": SUBSCRIBERS,
}


def test_the_urgent_lane_has_a_twin_of_each_topic_that_carries_letters_and_cases() -> None:
    twins = {
        topics.letters_from("contact-point", Lane.URGENT): "agency.contact-point.letters.urgent.v1",
        topics.letters_received(Lane.URGENT): "letters.received.urgent.v1",
        topics.cases_of("security-service", Lane.URGENT): "security-service.cases.urgent.v1",
        topics.updates_from("desk", Lane.URGENT): "desk.updates.urgent.v1",
        topics.case_events(Lane.URGENT): "cases.events.urgent.v1",
        topics.answers_due(Lane.URGENT): "answers.due.urgent.v1",
    }

    for name, expected in twins.items():
        assert name == expected

    normal = topics.cases_of("security-service", Lane.NORMAL)
    assert normal == "security-service.cases.v1"


CARRY_CONTENT = {
    "agency.contact-point.letters.v1": True,
    "agency.contact-point.answers.v1": True,
    "letters.received.v1": True,
    "letters.received.urgent.v1": True,
    "security-service.cases.v1": True,
    "desk.cases.urgent.v1": True,
    "answers.due.v1": True,
    "cases.events.v1": False,
    "cases.events.urgent.v1": False,
    "security-service.updates.v1": False,
    "notices.operations.v1": False,
    "notices.cases.v1": False,
    "acknowledgements.operations.v1": False,
    "acknowledgements.cases.v1": False,
    "alerts.raised.v1": False,
    "audit.checkpoints.v1": False,
    "somebody.elses.v1": False,
    "": False,
}


@pytest.mark.parametrize("topic", CARRY_CONTENT)
def test_only_those_entitled_read_what_is_sealed_at_rest(topic: str) -> None:
    assert topics.carries_content(topic) is CARRY_CONTENT[topic]


INTERNAL = {
    "letters.received.v1": True,
    "letters.received.urgent.v1": True,
    "cases.events.v1": True,
    "cases.events.urgent.v1": True,
    "answers.due.urgent.v1": True,
    "alerts.raised.v1": True,
    "agency.contact-point.letters.v1": False,
    "agency.contact-point.answers.v1": False,
    "security-service.cases.v1": False,
    "desk.cases.v1": False,
    "notices.operations.v1": False,
    "acknowledgements.operations.v1": False,
    "audit.checkpoints.v1": False,
    "letters.cases.v1": False,
    "alerts.cases.v1": False,
}


@pytest.mark.parametrize("topic", INTERNAL)
def test_only_our_own_services_learn_which_letter_a_case_belongs_to(topic: str) -> None:
    assert topics.is_internal(topic) is INTERNAL[topic]


def test_the_list_of_all_topics_is_whole() -> None:
    listed = topics.all_topics(AUTHORITIES, AGENCIES, SUBSCRIBERS)

    assert names_that_the_functions_can_make() | constants() == listed.keys()


def test_both_lanes_of_a_topic_have_the_same_number_of_partitions() -> None:
    listed = topics.all_topics(AUTHORITIES, AGENCIES, SUBSCRIBERS)

    for name, partitions in listed.items():
        assert listed.get(name.replace(".urgent.v1", ".v1")) == partitions


def test_one_partition_keeps_the_alerts_and_the_checkpoints_in_one_order() -> None:
    listed = topics.all_topics(AUTHORITIES, AGENCIES, SUBSCRIBERS)

    assert (listed["alerts.raised.v1"], listed["audit.checkpoints.v1"]) == (1, 1)


def names_that_the_functions_can_make() -> set[str]:
    """What every function of the module gives that returns one name, for each owner and lane that it asks for."""
    asked_of_a_topic = {"carries_content", "is_internal", "lane_of", "all_topics", "may_be_urgent", "agency_of"}
    makers: list[Callable[..., str]] = [
        function
        for name, function in vars(topics).items()
        if callable(function) and function.__module__ == topics.__name__ and name not in asked_of_a_topic
    ]
    assert len(makers) == 9
    made: set[str] = set()
    for make in makers:
        choices = [tuple(Lane) if name == "lane" else OWNERS[name] for name in inspect.signature(make).parameters]
        made |= {make(*chosen) for chosen in itertools.product(*choices)}
    return made


def constants() -> set[str]:
    return {value for name, value in vars(topics).items() if name.isupper() and str(value).endswith(".v1")}
