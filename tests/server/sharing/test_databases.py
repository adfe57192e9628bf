"""A release from proposal to collection, on PostgreSQL as well."""

from pathlib import Path

from tests.server.conftest import Clock
from tests.server.sharing.conftest import RECIPIENTS, housed, slim


def test_a_release_leaves_and_is_known_and_taken_back_on_postgresql(
    tmp_path: Path, clock: Clock, postgres_url: str
) -> None:
    with housed(tmp_path, clock, postgres_url) as house:
        house.recipients().write_text(RECIPIENTS)
        house.detected(slim())
        release = house.released()
        assert len(house.world.seen("n", "for-group")) == release["object_count"]
        assert house.post("analyst", "releases", {"recipient": "group"}).status_code == 409
        revoked = house.released(revoke=[house.campaigns()[0]["campaign_id"]])
        assert revoked["act"] == "revoke"
