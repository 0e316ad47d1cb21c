"""Signed links: who has the link may see the notice and acknowledge it, without a password at three in the morning.

A link does not run out: it opens one notice, which holds no personal data, and acknowledging twice changes nothing.
"""

import base64
import hmac
import re

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PATH = "/n/"
"""Where the page of a notice stands, below the public address."""
NOTICE = re.compile(r"not_[0-9a-f]{32}")

_LABEL = b"rogatory acknowledgement links v1"


class Links:
    """Makes and checks the links of a deployment."""

    def __init__(self, base: str | None, key: bytes) -> None:
        """`base`: the public address, such as https://notices.example.org; `key`: the deployment's id key."""
        self.base = base.rstrip("/") if base else None
        # A key of its own, derived (RFC 5869), so that no id of ours can ever be somebody's signature.
        own = HKDF(SHA256(), length=32, salt=None, info=_LABEL).derive(key)
        self._keyed = hmac.new(own, digestmod="sha256")

    def link(self, notice: str) -> str | None:
        """Where a notice can be acknowledged; None where no public address is set."""
        return f"{self.base}{PATH}{notice}?s={self.signature(notice)}" if self.base else None

    def signature(self, notice: str) -> str:
        """What opens the page of this notice and of no other."""
        code = self._keyed.copy()
        code.update(notice.encode())
        return base64.urlsafe_b64encode(code.digest()).rstrip(b"=").decode()

    def check(self, notice: str, signature: str) -> bool:
        """Whether the signature opens this notice; takes as long for a wrong one as for a right one."""
        if not NOTICE.fullmatch(notice):
            return False
        return hmac.compare_digest(self.signature(notice).encode(), signature.encode("utf-8", "surrogatepass"))
