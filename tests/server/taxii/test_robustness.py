"""Whatever a partner sends to the TAXII endpoints, within the specification or not, the service answers."""

from typing import Any

import schemathesis
from tests.server.operate.test_robustness import failures
from tests.server.taxii.conftest import MOMENT, ROOT, TAXII, World, campaign

from stillwatch.server import application

EXAMPLES = 5  # of each operation; the test of every role asks more


def test_no_endpoint_fails_by_itself_for_a_partner_with_every_right(world: World) -> None:
    world.partner("north", "red")
    world.collection("box", north="rw")
    world.publish("box", campaign(1))
    app = application(world.service)
    app.openapi_schema = within(app.openapi(), {"collection_id": "box", "object_id": campaign(1)["id"]})
    api = schemathesis.openapi.from_asgi("/openapi.json", app).include(path_regex="^/taxii2/")
    headers = {"Authorization": f"Bearer {world.keys['north']}", "Accept": TAXII}
    assert failures(api, headers, EXAMPLES) == []
    assert len(list(api.get_all_operations())) == 11


def within(specification: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """The specification, its paths leading to what is there as well, so that more than 404 is tried."""
    for path in specification["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] in known:
                    parameter["schema"] = {"anyOf": [{"const": known[parameter["name"]]}, parameter["schema"]]}
    return specification


# Bodies that break parsers, each in an envelope of the right type.
BODIES = (
    b'{"objects": [' + b"[" * 900 + b"]" * 900 + b"]}",
    b'{"objects": [{"id": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}]}",
    b'{"objects": [{"type": "\\u0000", "id": "\\u0000"}]}',
    b'{"objects": [1e308, -0.0, true, null, ""]}',
    b'{"objects": [' + b"1," * 999 + b"1]}",
    b'{"objects": [{"type": ["campaign"], "id": {"a": 1}, "modified": [1], "granular_markings": 7}]}',
)


def test_envelopes_that_break_parsers_are_the_senders_fault(world: World) -> None:
    world.partner("north", "red")
    world.collection("box", north="rw")
    hostile = [
        campaign(granular_markings=[7, {"marking_ref": 7}], object_marking_refs=[7, None]),
        campaign(extensions=[]),
        campaign(extensions={"extension-definition--x": 7}),
        campaign(external_references=[7]),
        campaign(created="9999-12-31T23:59:59.999999999Z", modified="0001-01-01T00:00:00Z"),
        campaign(valid_until="0001-01-01T00:00:00Z"),
        campaign(valid_until="9999-12-31T23:59:59.999999Z"),
        campaign(revoked="yes", confidence=1e300),
        campaign(labels=["x"] * 5000),
        {**campaign(), "type": "observed-data", "id": campaign()["id"].replace("campaign", "observed-data")},
    ]
    contents: list[dict[str, Any]] = [{"content": body} for body in BODIES]
    contents += [{"json": {"objects": [one]}} for one in hostile]
    for content in contents:
        reply = world.ask("north", "collections/box/objects/", "POST", {"Content-Type": TAXII}, **content)
        assert reply.status_code in (202, 422), reply.text
    assert world.client.get(f"{ROOT}collections/box/objects/", headers=auth(world)).status_code == 200
    path = f"collections/box/objects/?added_after={MOMENT}&match[version]=all&match[version]=last&limit=1&limit=2"
    assert world.ask("north", path).status_code == 200


def auth(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.keys['north']}"}
