"""The door itself: an ASGI application in front of another one.

The rules are in ``requests.py``; here they are asked, in order: from which page, then whether the
sender is known, then in which form. What they refuse never reaches the application behind.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from samplemix_dagster.door.requests import (
    Headers,
    Pass,
    Refusal,
    exchange,
    is_known,
    only_reads,
    refused_by_form,
    refused_by_place,
)
from samplemix_dagster.pages.frame import render

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY_VIOLATION = 1008
_OWN_HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_FRAMES = (b"content-security-policy", b"frame-ancestors 'none'")
"""Beside Dagster's own policy: a browser holds to both."""
_UNKNOWN = Refusal(
    401,
    "Open the address that `samplemix ui` printed in its terminal: it ends in a token, "
    "which is new at each start. A script sends it as `Authorization: Bearer TOKEN`.",
)


class Door:
    """Lets in who knows the token of this start, from its own pages, in forms that ask."""

    def __init__(self, app: Application, passed: Pass) -> None:
        self.app = app
        self.passed = passed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, method, path = scope["headers"], scope["method"], scope["path"]
        query = scope["query_string"]
        refusal = refused_by_place(headers, self.passed)
        if refusal is None and method in {"GET", "HEAD"}:
            further = exchange(query, path, self.passed)
            if further is not None:
                await _redirect(send, further, self.passed.set_cookie())
                return
        if refusal is None and not is_known(headers, self.passed):
            refusal = _UNKNOWN
        if refusal is None:
            refusal = refused_by_form(method, path, headers, query)
        if refusal is not None:
            await _refuse(send, refusal)
            return
        await self.app(scope, receive, _with_own_headers(send))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = scope["headers"]
        if refused_by_place(headers, self.passed) or not is_known(headers, self.passed):
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        await self.app(scope, _only_reading(receive, send), send)


def _only_reading(receive: Receive, send: Send) -> Receive:
    """Return a receiver of messages in which no operation changes anything: that is POST's."""

    async def next_message() -> Message:
        message = await receive()
        if message["type"] == "websocket.receive" and not _reads(message):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION}
        return message

    return next_message


def _reads(message: Message) -> bool:
    """Whether a message of the protocol ``graphql-ws`` starts nothing but a reading operation."""
    try:
        content = json.loads(message.get("text") or (message.get("bytes") or b"").decode())
        payload = content.get("payload")
    except (ValueError, AttributeError):
        return False
    if not isinstance(payload, dict) or "query" not in payload:
        return bool(content.get("type") != "start")
    query = payload["query"]
    return isinstance(query, str) and only_reads(query, ("query", "subscription"))


def _with_own_headers(send: Send) -> Send:
    """Return a sender that states how this site is to be treated, and opens it to no other."""
    own = {name for name, _ in _OWN_HEADERS}

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", ())
                if name.lower() not in own and not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": [*kept, *_OWN_HEADERS, _FRAMES]}
        await send(message)

    return send_with_headers


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = render("words.html", words=refusal.words)
    more = [(b"www-authenticate", b"Bearer")] if refusal.status == 401 else []
    await _answer(send, refusal.status, body, more)


async def _redirect(send: Send, further: str, cookie: str) -> None:
    more = [(b"location", further.encode("latin-1")), (b"set-cookie", cookie.encode())]
    await _answer(send, 303, "", more)


async def _answer(send: Send, status: int, body: str, more: list[tuple[bytes, bytes]]) -> None:
    content = body.encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        *more,
    ]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    sender = _with_own_headers(send)
    await sender(start)
    await sender({"type": "http.response.body", "body": content})
