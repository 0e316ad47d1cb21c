"""The naive router: one case per letter, to the authority that the law names."""

import asyncio

from benchmarks.naive.common import CaseAssigned, LetterReceived, collection, day_of, ids, law, publish, run, subscriber
from shared import topics
from shared.vocabulary import Direction, Lane

cases = collection("cases")
the_law = law()


@subscriber(topics.letters_received(Lane.NORMAL), "router")
async def on_letter(letter: LetterReceived) -> None:
    """Open a case, give it to its authority, say so."""
    case_id = ids.case(letter.letter, 1)
    kept = await cases.find_one({"_id": case_id})
    said = letter.content
    measure = said["measures"][0]
    competence = the_law.decide(
        measure["type"],
        Direction(said["direction"]),
        day_of(letter.received_at),
        party=said["party"],
        treaty_basis=said.get("treaty_basis", ()),
    )
    case = CaseAssigned(
        case=case_id,
        letter=letter.letter,
        agency=letter.agency,
        type=measure["type"],
        party=said["party"],
        direction=said["direction"],
        channel=said["channel"],
        urgency=said["urgency"],
        received_at=letter.received_at,
        authority=competence.authority,
        rule=competence.rule,
        law=competence.law,
        version=competence.version,
        basis=list(competence.basis),
        because=competence.because,
        certainty=competence.certainty,
        gate=competence.gate,
    ).model_dump()
    content = {"reference": said["reference"], "contact": said.get("contact"), "measure": measure}
    if kept is None:
        await cases.insert_one({"_id": case_id, **case, "content": content})
    await asyncio.gather(
        publish(
            topics.cases_of(competence.authority, Lane.NORMAL),
            case_id,
            "case.assigned",
            case_id,
            case | {"content": content},
        ),
        publish(topics.case_events(Lane.NORMAL), case_id, "case.assigned", case_id, case),
    )


if __name__ == "__main__":
    run()
