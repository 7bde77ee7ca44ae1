"""How Discord answers over HTTP: its errors, its JSON, and requests that carry files."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web


class Refusal(Exception):
    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.body = status, {"code": code, "message": message, **more}


def refuse(wrong: list[tuple[str, str]]) -> None:
    if not wrong:
        return
    if wrong == [("", "Cannot send an empty message")]:
        raise Refusal(400, 50006, "Cannot send an empty message")
    raise Refusal(400, 50035, "Invalid Form Body", errors={path: {"_errors": [{"message": m}]} for path, m in wrong})


def reply(status: int, body: Any, headers: Mapping[str, str]) -> web.Response:
    """The library parses JSON only where the type is exactly this."""
    every = {"Via": "1.1 google", **headers}
    if body is None:
        return web.Response(status=status, headers=every)
    return web.Response(
        status=status, body=json.dumps(body).encode(), headers={**every, "Content-Type": "application/json"}
    )


async def body_of(request: web.Request) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The JSON of a request and its files by name."""
    if not request.content_type.startswith("multipart/"):
        content: dict[str, Any] = await request.json()
        return content, {}
    payload: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    async for part in await request.multipart():
        if part.name == "payload_json":  # type: ignore[union-attr]
            payload = json.loads(await part.read())  # type: ignore[union-attr]
        else:
            files[str(part.filename)] = bytes(await part.read())  # type: ignore[union-attr]
    described = (payload.get("data") or payload).get("attachments", [])
    assert len([one for one in described if "filename" in one]) == len(files), "each file is described"
    return payload, files
