"""A TAXII 2.1 client: collections read page by page, objects added, and the status of what was added.

Why:    it is the protocol that those who share indicators speak; the reference client has had no release for years.
Misses: TAXII 2.0, manifests and deletes: nothing here needs them.
Source: OASIS, "TAXII Version 2.1", 2021, sections 3.4 (pagination), 4 and 5 (end points).
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from http.client import MULTIPLE_CHOICES
from typing import Any, Final
from urllib.parse import quote, urlencode

from stillwatch.errors import SharingError
from stillwatch.partners.moments import moment, written
from stillwatch.partners.wire import Answer, TooLongError, Wire

MEDIA_TYPE: Final = "application/taxii+json;version=2.1"
PAGE_OBJECTS: Final = 500  # asked for at once; a server may give fewer
MOST_PAGES: Final = 1_000  # of one collection in one pull
MOST_OBJECTS_IN_PAGE: Final = 10_000  # whatever we asked for
MOST_SENT_BYTES: Final = 4 << 20
MOST_SENT_OBJECTS: Final = 200
MOST_STATUS_ASKED: Final = 20
MOST_COLLECTIONS: Final = 1_000

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NEXT_CHARS: Final = 4_096
_WHY: Final = {
    400: "does not understand what we asked",
    401: "does not know our credentials",
    403: "does not allow it to us",
    404: "has no such API root or collection, or hides it from us",
    406: "does not speak TAXII 2.1",
    413: "finds what we send too large",
    415: "does not take TAXII 2.1",
    422: "refuses the objects",
    429: "has had enough requests of us for now",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Objects of a collection in the order they were added, and when the first and the last of them were."""

    objects: Sequence[Any]
    first_added: datetime | None
    last_added: datetime | None
    is_last: bool


@dataclass(frozen=True, slots=True)
class Added:
    """How many objects a server took, refused, and had not decided about when we stopped asking."""

    taken: int = 0
    refused: int = 0
    pending: int = 0

    def __add__(self, other: "Added") -> "Added":
        """Together. `Added()` is the identity."""
        return Added(self.taken + other.taken, self.refused + other.refused, self.pending + other.pending)


class Taxii:
    """One API root of a partner's server, over connections that somebody else opens and closes."""

    def __init__(self, wire: Wire, url: str) -> None:
        """`url` is the API root's."""
        self._wire, self._url = wire, url.rstrip("/") + "/"

    def root(self) -> dict[str, Any]:
        """What the API root says about itself.

        Raises:
            SharingError: it cannot be asked.
        """
        return self._got(self._url).body

    def collection_id(self, name: str) -> str:
        """The id of a collection that is named by its id, its alias or its title.

        Raises:
            SharingError: there is none, or more than one, or it cannot be asked.
        """
        if _UUID.fullmatch(name):
            return name
        told = self._got(f"{self._url}collections/").body.get("collections", [])
        rows = [row for row in (told if isinstance(told, list) else [])[:MOST_COLLECTIONS] if isinstance(row, dict)]
        ids = {str(row.get("id")) for row in rows if name in (row.get("alias"), row.get("title"))}
        if len(ids) != 1 or not _UUID.fullmatch(next(iter(ids))):
            raise SharingError(f"{self._wire.host} has no collection {name} that is readable and named once.")
        return ids.pop()

    def pages(self, collection: str, *, added_after: datetime | None = None) -> Iterator[Page]:
        """The objects of a collection, oldest first, from after that moment on.

        Where the server gives no `next`, the moment at which the last object was added leads on.

        Raises:
            SharingError: it cannot be asked, or its pages do not end.
        """
        following: str | None = None
        limit = PAGE_OBJECTS
        for _ in range(MOST_PAGES):
            try:
                since = None if added_after is None else written(added_after)
                answer = self._got(self._objects(collection), limit=limit, added_after=since, next=following)
            except TooLongError:
                if limit == 1:
                    raise
                limit = max(1, limit // 5)
                continue
            page, following = self._page(answer)
            yield page
            if page.is_last:
                return
            if following is None:
                if page.last_added is None or (added_after is not None and page.last_added <= added_after):
                    raise SharingError(f"{self._wire.host} says there is more and not how to go on.")
                added_after = page.last_added
        raise SharingError(f"{self._wire.host} still has more after {MOST_PAGES:,} pages. Pull again to go on.")

    def add(self, collection: str, objects: Sequence[dict[str, Any]]) -> Added:
        """Add objects to a collection, in parts that the server takes, and wait for what becomes of them.

        Raises:
            SharingError: the server does not take a part; those before it are there.
        """
        told = self.root().get("max_content_length")
        most_bytes = min(told, MOST_SENT_BYTES) if isinstance(told, int) and told > 0 else MOST_SENT_BYTES
        total = Added()
        for part in _parts(objects, most_bytes):
            answer = self._wire.ask(
                "POST",
                self._objects(collection),
                {"accept": MEDIA_TYPE, "content-type": MEDIA_TYPE},
                body=part,
            )
            total += self._decided(self._fine(answer).body)
        return total

    def _decided(self, status: dict[str, Any]) -> Added:
        """What became of the objects, once the server says so, or when we have asked often enough."""
        status_id = str(status.get("id"))
        for _ in range(MOST_STATUS_ASKED):
            if status.get("status") != "pending" or not _UUID.fullmatch(status_id):
                break
            self._wire.pause()
            status = self._got(f"{self._url}status/{status_id}/").body
        counts = [status.get(f"{name}_count") for name in ("success", "failure", "pending")]
        return Added(*(count if isinstance(count, int) and count >= 0 else 0 for count in counts))

    def _page(self, answer: Answer) -> tuple[Page, str | None]:
        objects, following = answer.body.get("objects", []), answer.body.get("next")
        if not isinstance(objects, list) or len(objects) > MOST_OBJECTS_IN_PAGE:
            raise SharingError(f"{self._wire.host} answers with no list of objects, or with too many at once.")
        if following is not None and (not isinstance(following, str) or len(following) > _NEXT_CHARS):
            raise SharingError(f"{self._wire.host} says how to go on in a way that is not TAXII.")
        first, last = (moment(answer.headers.get(f"x-taxii-date-added-{which}")) for which in ("first", "last"))
        return Page(objects, first, last, answer.body.get("more") is not True), following

    def _objects(self, collection: str) -> str:
        return f"{self._url}collections/{quote(collection, safe='')}/objects/"

    def _got(self, url: str, **filters: object) -> Answer:
        asked = urlencode({name: value for name, value in filters.items() if value is not None})
        return self._fine(self._wire.ask("GET", f"{url}?{asked}" if asked else url, {"accept": MEDIA_TYPE}))

    def _fine(self, answer: Answer) -> Answer:
        if answer.status < MULTIPLE_CHOICES:
            return answer
        why = _WHY.get(answer.status, f"answers with status {answer.status}")
        raise SharingError(f"{self._wire.host} {why}.")


def _parts(objects: Sequence[dict[str, Any]], most_bytes: int) -> Iterator[bytes]:
    """Envelopes of objects, each short enough."""
    room = most_bytes - len('{"objects": []}')
    part: list[str] = []
    for object_ in objects:
        text = json.dumps(object_)
        if len(text) > room:
            raise SharingError(
                f"{object_.get('type')}: an object of {len(text):,} bytes is more than the server takes."
            )
        if part and (len(part) == MOST_SENT_OBJECTS or sum(map(len, part)) + 2 * len(part) + len(text) > room):
            yield _envelope(part)
            part = []
        part.append(text)
    if part:
        yield _envelope(part)


def _envelope(part: Sequence[str]) -> bytes:
    return f'{{"objects": [{", ".join(part)}]}}'.encode()
