from typing import Any

from stillwatch.sharing.changes import Change, changes, differences


def one(name: str, **more: Any) -> dict[str, Any]:
    return {"id": f"campaign--{name}", "type": "campaign", "modified": "2026-01-01", **more}


def by_id(*objects: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {object_["id"]: object_ for object_ in objects}


def test_objects_are_told_apart_by_what_became_of_them() -> None:
    before = by_id(one("same", a=1), one("other", a=1), one("back", a=1), one("gone"), one("dead", revoked=True))
    now = [one("same", a=1), one("other", a=2), {**one("back", a=1), "revoked": True}, one("fresh")]
    found = differences(now, before)
    assert found.new == ("campaign--fresh",)
    assert found.changed == {"campaign--other": (Change("a", 1, 2),)}
    assert found.revoked == ("campaign--back",)
    assert found.unchanged == ("campaign--same",)
    assert found.gone == ("campaign--gone",)
    assert not found.is_empty


def test_another_time_alone_is_no_change() -> None:
    found = differences([one("same") | {"modified": "2026-02-02"}], by_id(one("same")))
    assert found.unchanged == ("campaign--same",)
    assert found.is_empty


def test_nested_properties_are_named_by_path_and_missing_ones_are_null() -> None:
    found = list(changes({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"b": 2, "c": [1, 2], "modified": 3}, "e": {"f": 0}}))
    assert found == [
        Change("a.b", 1, 2),
        Change("a.c", [1], [1, 2]),
        Change("a.modified", None, 3),
        Change("d", 1, None),
        Change("e", None, {"f": 0}),
    ]
