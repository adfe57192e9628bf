"""Every account that has a decision, in many small dictionaries.

One dictionary of a million entries stops the whole process for tens of milliseconds when it grows or is freed; none of
these is ever large.
"""

from stillwatch.client.decision import Kept

_SHARDS = 4096  # a power of two; at a million accounts each holds a few hundred


class Table:
    """Decisions by account. One thread writes, any number read."""

    __slots__ = ("_shards", "count", "version")

    def __init__(self, version: str) -> None:
        """Empty, as of that version."""
        self.version = version
        self.count = 0
        self._shards: list[dict[str, Kept]] = [{} for _ in range(_SHARDS)]

    def get(self, account_id: str) -> Kept | None:
        """What is kept of the account."""
        return self._shards[hash(account_id) & (_SHARDS - 1)].get(account_id)

    def put(self, account_id: str, held: Kept | None) -> None:
        """Keep it; None forgets the account."""
        shard = self._shards[hash(account_id) & (_SHARDS - 1)]
        before = len(shard)
        if held is None:
            shard.pop(account_id, None)
        else:
            shard[account_id] = held
        self.count += len(shard) - before

    def parts(self) -> list[dict[str, Kept]]:
        """Everything, a small piece at a time."""
        return self._shards
