"""The service: takes traffic as it happens, detects every few minutes, and hands gateways their decisions."""

from stillwatch.server.app import application
from stillwatch.server.service import Service, opened
from stillwatch.server.settings import ServerSettings, load_server_settings

__all__ = ["ServerSettings", "Service", "application", "load_server_settings", "opened"]
