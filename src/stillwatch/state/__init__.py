"""Partial rollups on disk: batches of logs go in once each, detection reads what they merge to."""

from stillwatch.state.batches import Ingested, batch_id, ingested
from stillwatch.state.compaction import Compacted, compacted, has_alike, streams_merged
from stillwatch.state.erasure import erased, retained
from stillwatch.state.kept import Kept, kept, overlaid, rolled
from stillwatch.state.kernels import kernels
from stillwatch.state.manifest import Batch, Manifest, existing_manifest, exists, part_bytes, reading, work_folder
from stillwatch.state.parts import PARTS, Rollups, Window
from stillwatch.state.stream import Piece, Segment, folded

__all__ = [
    "PARTS",
    "Batch",
    "Compacted",
    "Ingested",
    "Kept",
    "Manifest",
    "Piece",
    "Rollups",
    "Segment",
    "Window",
    "batch_id",
    "compacted",
    "erased",
    "existing_manifest",
    "exists",
    "folded",
    "has_alike",
    "ingested",
    "kept",
    "kernels",
    "overlaid",
    "part_bytes",
    "reading",
    "retained",
    "rolled",
    "streams_merged",
    "work_folder",
]
