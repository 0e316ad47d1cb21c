"""What atheris runs: the envelope and the letter's parser, fed with bytes that are chosen by what they reach.

`python -m tests.fuzz.guided -runs=1000 FOLDER`; a failure that nobody foresaw ends it with its trace.
"""

import sys

import atheris

with atheris.instrument_imports(include=["shared"]):
    from shared.envelope import read_envelope
    from shared.failures import NeverWill
    from shared.letter import BadLetter, content_of, digest_of, parse_letter, split_content

TYPES = frozenset({"extradition", "stored_data_access", "data_preservation"})
STRUCTURED = [("content-type", b"application/cloudevents+json")]


def once(data: bytes) -> None:
    """Read the bytes as a letter, as a structured event, and as an event in binary mode."""
    try:
        letter = parse_letter(data, TYPES)
    except BadLetter:
        pass
    else:
        assert digest_of(letter) == digest_of(data)
        assert split_content(content_of(letter), 1)["measure"]["type"] in TYPES
    head, _, value = data.partition(b"\n\n")
    named = [part.partition(b":") for part in head.split(b"\n")]
    binary = [(name.decode("utf-8", "surrogateescape"), text) for name, _, text in named]
    for headers, body in ((STRUCTURED, data), (binary, value)):
        try:
            event = read_envelope(headers, body)
        except NeverWill:
            continue
        assert event.id
        assert event.source
        assert event.type
        "".join((event.id, event.source, event.type, *event.attributes.values())).encode()


if __name__ == "__main__":
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
