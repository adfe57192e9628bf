"""A service with partners, as the tests of its TAXII server make it."""

import pytest
from fastapi.testclient import TestClient
from tests.server.taxii.conftest import World

from stillwatch.server import Service


@pytest.fixture
def world(service: Service, client: TestClient) -> World:
    return World(service, client)
