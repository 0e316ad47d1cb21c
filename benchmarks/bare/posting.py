"""Posts of prepared bytes by the client that ours uses."""

from http import HTTPStatus

import aiohttp
from yarl import URL

from benchmarks.prepared_notices import Post


class Posting:
    """A session like ours, without what costs: no limits in time, no guard of names."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": "rogatory", "accept-encoding": "identity"},
            auto_decompress=False,
        )
        self._urls: dict[str, URL] = {}

    async def send(self, post: Post) -> None:
        """Post one; the sink takes every one."""
        url = self._urls.get(post.url) or self._urls.setdefault(post.url, URL(post.url))
        async with self._session.post(url, data=post.body, headers=post.headers, allow_redirects=False) as response:
            assert response.status == HTTPStatus.NO_CONTENT
