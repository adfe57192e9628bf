"""Runs inside the proxy: lets in the keys of a file and gives each the hash and user LiteLLM would have stored."""

import hashlib
import os
from pathlib import Path

from fastapi import HTTPException, Request
from litellm.proxy._types import UserAPIKeyAuth

KNOWN = frozenset(Path(os.environ["KNOWN_KEYS_FILE"]).read_text(encoding="utf-8").split())


async def check(request: Request, api_key: str) -> UserAPIKeyAuth:
    """LiteLLM's `custom_auth` hook."""
    if api_key not in KNOWN:
        raise HTTPException(status_code=401, detail="unknown key")
    return UserAPIKeyAuth(api_key=hashlib.sha256(api_key.encode()).hexdigest(), user_id=f"user-of-{api_key}")
