r"""Check checkpoints without Rogatory: python check_checkpoint.py PUBLIC_KEY FILE [FILE ...]

PUBLIC_KEY: 64 hexadecimal digits, which you had from the deployment by another way than Kafka. The FILEs hold the data
of events `audit.checkpoint`, one after the other, in any order, as this writes them:

    kcat -b BROKER -t audit.checkpoints.v1 -e -f '%s\n' > checkpoints.jsonl

Needs Python 3.10 and the package `cryptography`. Exit code 0: all is well; 1: something is not; 2: wrong use.
"""

import hashlib
import itertools
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEAD = ("service", "instance", "number", "previous", "at", "size", "root", "key")


def compact(value):
    """JSON as the checkpoint's leaves and head are written (RFC 8785: there are only texts and whole numbers)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def merkle_root(leaves):
    """RFC 9162 section 2.1.1, as it stands there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + merkle_root(leaves[:split]) + merkle_root(leaves[split:])).digest()


def signed(data):
    """The bytes under the signature; the SHA-256 of the same is what the next checkpoint names as `previous`."""
    return b"rogatory checkpoint v1\n" + compact({name: data[name] for name in HEAD})


def faults(data, public_key):
    """What is wrong with one checkpoint, in sentences."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(data["signature"]), signed(data))
    except InvalidSignature:
        yield "the signature is not by this key over this checkpoint"
    if merkle_root([compact(leaf) for leaf in data["leaves"]]).hex() != data["root"]:
        yield "the root is not that of the leaves"
    if len(data["leaves"]) != data["size"]:
        yield "there are not as many leaves as it says"


def faults_between(before, data):
    """What is wrong between two checkpoints of one instance that follow each other."""
    if data["number"] == before["number"]:
        if signed(data) != signed(before):
            yield "there are two of this number"
    elif data["number"] != before["number"] + 1:
        yield f"number {before['number']} comes before it: some are missing"
    elif data["previous"] != hashlib.sha256(signed(before)).hexdigest():
        yield "it does not name the checkpoint before it"


def checkpoints_in(text):
    """The JSON values that stand one after the other."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        else:
            value, at = decoder.raw_decode(text, at)
            yield value


def main(arguments):
    """Check the files and say what was found."""
    try:
        key, first, *others = arguments
        public_key = bytes.fromhex(key)
        Ed25519PublicKey.from_public_bytes(public_key)
    except ValueError:
        print(__doc__, file=sys.stderr)
        return 2
    said, instances = [], {}
    for name in (first, *others):
        try:
            with open(name, encoding="utf-8") as file:
                for data in checkpoints_in(file.read()):
                    of = f"{data['service']}/{data['instance']}"
                    said += [f"{of} number {data['number']}: {fault}" for fault in faults(data, public_key)]
                    head = {part: data[part] for part in HEAD}
                    instances.setdefault(of, []).append(head)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            said.append(f"{name}: there is something that cannot be read as a checkpoint ({type(error).__name__})")
    for of, row in instances.items():
        row.sort(key=lambda head: head["number"])
        for before, head in itertools.pairwise(row):
            said += [f"{of} number {head['number']}: {fault}" for fault in faults_between(before, head)]
        print(f"{of}: numbers {row[0]['number']} to {row[-1]['number']}, up to {row[-1]['at']}")
    for fault in said:
        print(fault)
    print("Something is wrong." if said else "All of them hold.")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
