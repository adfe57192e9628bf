"""The OASIS reference TAXII server in a process of its own, over its backend in memory. Prints its port.

It is emptied by a line on standard input, and ends with it.
"""

import copy
import sys
import threading

import medallion
from werkzeug.serving import make_server

COLLECTIONS = ("91a7b528-80eb-42ed-a74d-c6fbd5a26116", "5ac2b0d3-6c0a-4b76-8d5f-1b9e7c1d2f30")
DATA = {
    "/discovery": {"title": "reference", "default": "http://127.0.0.1/api/", "api_roots": ["/api/"]},
    "api": {
        "information": {
            "title": "api",
            "versions": ["application/taxii+json;version=2.1"],
            "max_content_length": 65536,
        },
        "status": [],
        "collections": [
            {
                "id": collection_id,
                "title": title,
                "can_read": True,
                "can_write": True,
                "media_types": ["application/stix+json;version=2.1"],
                "objects": [],
                "manifest": [],
            }
            for collection_id, title in zip(COLLECTIONS, ("indicators", "other"), strict=True)
        ],
    },
}


def main() -> None:
    """Serve until standard input ends."""
    app = medallion.application_instance
    medallion.set_config(app, "users", {"users": {"stillwatch": "a password"}})
    medallion.set_config(app, "taxii", {"taxii": {"max_page_size": 4}})
    backend = {"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend"}
    medallion.set_config(app, "backend", {"backend": backend})
    medallion.register_blueprints(app)
    app.medallion_backend.data = copy.deepcopy(DATA)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    _say(str(server.server_port))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for _ in sys.stdin:
        app.medallion_backend.data = copy.deepcopy(DATA)
        _say("emptied")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


main()
