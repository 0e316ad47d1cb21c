"""The naive notifier: who must hear of a case, by the same rules, told on Kafka."""

from benchmarks.fanout import ALERTS, ROSTER
from benchmarks.naive.common import CaseAssigned, collection, ids, law, publish, run, subscriber
from benchmarks.prepared import LIFE_CYCLE, PARTNERS
from services.notifier.domain import facts_of
from services.notifier.duty.roster import load_roster
from services.notifier.rules.alert_file import load_rules
from shared import times, topics
from shared.life_cycle import load_life_cycle
from shared.partners import load_partners
from shared.vocabulary import Lane

notices = collection("notices")
the_law = law()
life = load_life_cycle(LIFE_CYCLE, the_law)
rules = load_rules(ALERTS, load_partners(PARTNERS), the_law, life, load_roster(ROSTER))


@subscriber(topics.case_events(Lane.NORMAL), "notifier")
async def on_case(case: CaseAssigned) -> None:
    """Raise each notice and publish it."""
    facts = facts_of("case.assigned", case.model_dump() | {"lane": Lane.NORMAL})
    for rule in rules.choose(facts):
        for member in rules.members(rule):
            alert = ids.alert(rule.name, case.case)
            notice = {
                "notice": ids.notice(alert, member.name, "kafka"),
                "alert": alert,
                "rule": rule.name,
                "says": rule.words(facts)["en"],
                "about": case.case,
                "subscriber": member.name,
                "raised_at": times.text_of(times.now()),
                "facts": facts,
            }
            if await notices.find_one({"_id": notice["notice"]}) is None:
                await notices.insert_one({"_id": notice["notice"], **notice})
            source = str(notice["notice"])
            await publish(topics.notices_to(member.name), case.case, "notice.raised", source, notice)


if __name__ == "__main__":
    run()
