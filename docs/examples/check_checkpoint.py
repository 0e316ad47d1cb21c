"""Check checkpoints without Rogatory: python check_checkpoint.py PUBLIC_KEY FILE [FILE ...]

PUBLIC_KEY: 64 hexadecimal digits, which you had from the deployment by another way than Kafka. Each FILE holds the data
of one event `audit.checkpoint`; several are of one instance, in the order of their numbers. Needs Python 3.9 and the
package `cryptography`. Exit code 0: all is well; 1: something is not; 2: wrong use.
"""

import hashlib
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


def faults(data, public_key, before=None):
    """What is wrong with a checkpoint, in sentences; `before`: the one before it of the same instance."""
    signed = b"rogatory checkpoint v1\n" + compact({name: data[name] for name in HEAD})
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(data["signature"]), signed)
    except InvalidSignature:
        yield "the signature is not by this key over this checkpoint"
    if merkle_root([compact(leaf) for leaf in data["leaves"]]).hex() != data["root"]:
        yield "the root is not that of the leaves"
    if len(data["leaves"]) != data["size"]:
        yield "there are not as many leaves as it says"
    if before is not None:
        digest = hashlib.sha256(
            b"rogatory checkpoint v1\n" + compact({name: before[name] for name in HEAD})
        ).hexdigest()
        if [data[name] for name in HEAD[:2]] != [before[name] for name in HEAD[:2]]:
            yield "it is of another instance than the one before it"
        elif data["number"] != before["number"] + 1:
            yield f"after number {before['number']} comes {data['number']}"
        elif data["previous"] != digest:
            yield "it does not name the checkpoint before it"


def main(arguments):
    """Check the files and say what was found."""
    try:
        key, *names = arguments
        public_key = bytes.fromhex(key)
        Ed25519PublicKey.from_public_bytes(public_key)
    except ValueError:
        print(__doc__, file=sys.stderr)
        return 2
    if not names:
        print(__doc__, file=sys.stderr)
        return 2
    before, wrong = None, 0
    for name in names:
        try:
            with open(name, "rb") as file:
                data = json.load(file)
            found = list(faults(data, public_key, before))
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            data, found = None, [f"it cannot be read as a checkpoint ({type(error).__name__})"]
        wrong += bool(found)
        before = data
        print(
            f"{name}: {'; '.join(found) or 'holds: {service}/{instance} number {number}, size {size}'.format(**data)}"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
