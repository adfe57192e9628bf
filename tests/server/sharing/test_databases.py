"""A release from proposal to collection, on both databases."""

from tests.server.sharing.conftest import House


def test_a_release_leaves_and_is_known_on_either_database(house: House) -> None:
    release = house.released()
    assert len(house.world.seen("n", "for-group")) == release["object_count"]
    assert house.post("analyst", "releases", {"recipient": "group"}).status_code == 409
    revoked = house.released(revoke=[house.campaigns()[0]["campaign_id"]])
    assert revoked["act"] == "revoke"
