"""Partial rollups on disk: batches of logs go in once each, detection reads what they merge to."""

from stillwatch.state.batches import Ingested, batch_id, ingested
from stillwatch.state.compaction import Compacted, compacted
from stillwatch.state.erasure import erased, retained
from stillwatch.state.kept import Kept, kept, overlaid, rolled
from stillwatch.state.manifest import Batch, Manifest, existing_manifest, exists, part_bytes, reading, work_folder
from stillwatch.state.parts import PARTS, Rollups, Window

__all__ = [
    "PARTS",
    "Batch",
    "Compacted",
    "Ingested",
    "Kept",
    "Manifest",
    "Rollups",
    "Window",
    "batch_id",
    "compacted",
    "erased",
    "existing_manifest",
    "exists",
    "ingested",
    "kept",
    "overlaid",
    "part_bytes",
    "reading",
    "retained",
    "rolled",
    "work_folder",
]
