"""Who is another person, as far as names and tokens tell."""

import unicodedata
from collections.abc import Mapping


def may_be_one(name: str, account: str | None, other: Mapping[str, str]) -> bool:
    """Whether two acts may be one person's: the same name, however it is written, or accounts that are not apart.

    `other`: what the history says of the first one, `by` and, where its token told, `account`.
    """
    accounts = {account, other.get("account")}
    # Where one token names its account the other must too: otherwise who has both has two names.
    are_apart = len(accounts) == 2 and None not in accounts
    return _plain(name) == _plain(other["by"]) or not (are_apart or accounts == {None})


def _plain(name: str) -> str:
    """A name without what makes no other person: case, widths, spaces, what nobody sees or stands above a letter."""
    unseen = {"Cf", "Cc", "Mn", "Me"}
    visible = "".join(char for char in unicodedata.normalize("NFKD", name) if unicodedata.category(char) not in unseen)
    return "".join(unicodedata.normalize("NFKC", visible.casefold()).split())
