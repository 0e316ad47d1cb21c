"""The naive notifier: who must hear of a case, by the same rules, told on Kafka."""

from benchmarks.naive.common import CaseAssigned, collection, ids, law, publish, run, subscriber
from benchmarks.prepared import ALERTS, LIFE_CYCLE, PARTNERS
from services.notifier.domain import facts_of
from services.notifier.rules import FACTS, load_rules
from shared import times, topics
from shared.life_cycle import load_life_cycle
from shared.partners import load_partners
from shared.vocabulary import Lane

notices = collection("notices")
the_law = law()
rules = load_rules(ALERTS, load_partners(PARTNERS), the_law, load_life_cycle(LIFE_CYCLE, the_law))


@subscriber(topics.case_events(Lane.NORMAL), "notifier")
async def on_case(case: CaseAssigned) -> None:
    """Raise each notice and publish it."""
    facts = facts_of("case.assigned", case.model_dump() | {"lane": Lane.NORMAL})
    for rule in rules.choose(facts):
        for subscriber_name in rule.tell:
            alert = ids.alert(rule.name, case.case)
            notice = {
                "notice": ids.notice(alert, subscriber_name, "kafka"),
                "alert": alert,
                "rule": rule.name,
                "says": rule.says.format_map({name: facts.get(name, "") for name in FACTS}),
                "about": case.case,
                "subscriber": subscriber_name,
                "raised_at": times.text_of(times.now()),
                "facts": facts,
            }
            if await notices.find_one({"_id": notice["notice"]}) is None:
                await notices.insert_one({"_id": notice["notice"], **notice})
            source = str(notice["notice"])
            await publish(topics.notices_to(subscriber_name), case.case, "notice.raised", source, notice)


if __name__ == "__main__":
    run()
