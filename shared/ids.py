"""Ids that are the same for ever and reveal nothing: HMAC-SHA-256 under the deployment's id key, shortened."""

import hashlib
import hmac


class Ids:
    """Makes every id of a deployment; two deployments with other keys share no id."""

    def __init__(self, key: bytes) -> None:
        """`key`: the deployment's fixed id key, 32 bytes."""
        self._keyed = hmac.new(key, digestmod="sha256")

    def letter(self, agency: str, reference: str) -> str:
        """The id of a letter: one agency, one reference, one letter."""
        return self._make("let_", "letter", agency, reference)

    def refused_letter(self, agency: str, source: str, event: str) -> str:
        """The id of a letter that could not be taken: it must not occupy the identity of a good one."""
        return self._make("let_", "refused", agency, source, event)

    def case(self, letter: str, measure: int) -> str:
        """The id of the case of one measure (numbered from 1) of a letter."""
        return self._make("cas_", letter, str(measure))

    def reference(self, party: str, reference: str) -> str:
        """What stands in state and queries for a foreign reference: one State's, whoever brought it."""
        return self._make("ref_", party, reference.strip())

    def alert(self, rule: str, event: str) -> str:
        """The id of an alert: one rule that fires on one event."""
        return self._make("alt_", rule, event)

    def notice(self, alert: str, recipient: str, channel: str) -> str:
        """The id of one alert to one recipient on one channel."""
        return self._make("not_", alert, recipient, channel)

    def subscription(self, name: str) -> str:
        """The id of the recipient that the desk added under a name."""
        return self._make("sub_", name)

    def left(self, subscriber: str, address: str) -> str:
        """The id of an address that a subscriber's system has left; the address cannot be read from it."""
        return self._make("lft_", subscriber, address)

    def silence(self, said: str) -> str:
        """The id of a silence: what was asked for, whole, so that asking again makes no second one."""
        return self._make("sil_", said)

    def quarantined(self, service: str, topic: str, partition: int, offset: int, value: bytes) -> str:
        """The id of a record that one service set aside.

        Its position and its bytes, for offsets restart when a topic is made anew; several services may read a topic.
        """
        return self.quarantined_as(service, topic, partition, offset, hashlib.sha256(value).hexdigest())

    def quarantined_as(self, service: str, topic: str, partition: int, offset: int, sha256: str) -> str:
        """The same, of a record whose bytes are known by their digest."""
        return self._make("qua_", service, topic, str(partition), str(offset), sha256)

    def checkpoint(self, service: str, instance: str, number: int) -> str:
        """The id of the n-th checkpoint of one process."""
        return self._make("chk_", service, instance, str(number))

    def order(self, topic: str, partition: int, key: bytes) -> str:
        """What the records of one key on one partition have in common: they go one after another."""
        return self._make("ord_", topic, str(partition), key.hex())

    def event(self, record: str, seq: int) -> str:
        """The id of the n-th event of a record; the same on every topic that carries it."""
        return self._make("evt_", record, str(seq))

    def cause(self, source: str, event: str) -> str:
        """What stands in a history for an outsider's event: its own source and id may hold anything."""
        return self._make("ext_", source, event)

    def _make(self, prefix: str, *parts: str) -> str:
        # The prefix keeps equal parts of two kinds apart, the lengths keep the parts from running into each other.
        text = "".join(f"{len(part)}:{part}" for part in (prefix, *parts))
        code = self._keyed.copy()  # a third quicker than keying it anew
        code.update(text.encode("utf-8", "surrogatepass"))
        return prefix + code.digest()[:16].hex()
