"""The door lets in who knows the token, from its own pages, in forms that ask; nobody else."""

import contextlib
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from samplemix_dagster.door.middleware import Door
from samplemix_dagster.door.own_pages import Answer, OwnPages
from samplemix_dagster.door.requests import Pass, only_reads

PORT = 4321
HERE = f"http://127.0.0.1:{PORT}"
SOCKET = f"ws://127.0.0.1:{PORT}/graphql"
JSON = {"content-type": "application/json"}
READS, CHANGES = "{ version }", 'mutation { launchRun(x: "y") { run } }'


class Behind:
    """An application that opens itself to everybody, and notes what reaches it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]
        self.app = Starlette(
            routes=[
                WebSocketRoute("/graphql", self.talk),
                Route("/{path:path}", self.answer, methods=methods),
            ]
        )

    async def answer(self, request: Request) -> JSONResponse:
        self.reached.append(f"{request.method} {request.url.path}")
        open_to_all = {
            "Access-Control-Allow-Origin": "*",
            "Referrer-Policy": "unsafe-url",
            "Content-Security-Policy": "base-uri 'none'",
        }
        return JSONResponse({"path": request.url.path}, headers=open_to_all)

    async def talk(self, socket: WebSocket) -> None:
        await socket.accept(subprotocol="graphql-ws")
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                message = await socket.receive_json()
                self.reached.append(f"ws {message['type']}")
                await socket.send_json({"type": "data"})


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def passed() -> Pass:
    return Pass(port=PORT)


def client(behind: Behind, passed: Pass) -> TestClient:
    return TestClient(Door(behind.app, passed), base_url=HERE, follow_redirects=False)


@pytest.fixture
def stranger(behind: Behind, passed: Pass) -> TestClient:
    return client(behind, passed)


@pytest.fixture
def known(behind: Behind, passed: Pass) -> TestClient:
    found = client(behind, passed)
    assert found.get(f"/?token={passed.token}").status_code == 303
    return found


# -- who -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/graphql", "/server_info", "/static/a.js", "/logs/x/y.out"])
def test_a_stranger_gets_nothing_but_how_to_get_in(
    path: str, stranger: TestClient, behind: Behind
) -> None:
    found = stranger.get(path)
    assert found.status_code == 401
    assert "the address that `samplemix ui` printed" in found.text
    assert behind.reached == []


def test_the_address_with_the_token_gives_a_cookie_and_goes_on_without_it(
    stranger: TestClient, passed: Pass, behind: Behind
) -> None:
    found = stranger.get(f"/runs/1?view=logs&token={passed.token}")
    assert (found.status_code, found.headers["location"]) == (303, "/runs/1?view=logs")
    cookie = found.headers["set-cookie"]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert passed.token not in cookie
    assert behind.reached == []
    assert stranger.get("/runs/1").json() == {"path": "/runs/1"}


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example"])
def test_it_goes_on_to_no_other_host(path: str, passed: Pass) -> None:
    from samplemix_dagster.door.requests import exchange

    further = exchange(f"token={passed.token}".encode(), path, passed)
    assert further is not None
    assert further[0] == "/"
    assert further[1] not in "/\\"


@pytest.mark.parametrize("change", ["", "x", "{token}x", "x{token}", "{token}&token={token}"])
def test_another_token_lets_nobody_in(
    change: str, stranger: TestClient, passed: Pass, behind: Behind
) -> None:
    assert stranger.get(f"/?token={change.format(token=passed.token)}").status_code == 401
    assert behind.reached == []


def test_a_script_sends_the_token_itself(stranger: TestClient, passed: Pass) -> None:
    sent = {"authorization": f"Bearer {passed.token}"}
    assert stranger.get("/server_info", headers=sent).status_code == 200
    for wrong in (f"Bearer {passed.session}", f"Basic {passed.token}", passed.token, "Bearer"):
        assert stranger.get("/", headers={"authorization": wrong}).status_code == 401


@pytest.mark.parametrize("name", ["samplemix_4321", "samplemix_9", "session"])
def test_a_cookie_of_another_start_or_port_lets_nobody_in(
    name: str, stranger: TestClient, passed: Pass
) -> None:
    other = Pass(port=PORT)
    for value in (other.session, passed.token, "", "ü"):
        found = stranger.get("/", headers={"cookie": f"{name}={value}".encode()})
        assert found.status_code == 401


def test_each_start_has_secrets_of_its_own_that_its_words_do_not_show() -> None:
    one, other = Pass(port=PORT), Pass(port=PORT)
    assert len({one.token, one.session, other.token, other.session}) == 4
    assert one.token not in repr(one)
    assert one.session not in repr(one)


# -- from where ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": f"127.0.0.1.evil.example:{PORT}"},
        {"host": f"localhost.:{PORT}"},
        {"host": "127.0.0.1"},
        {"host": f"127.0.0.1:{PORT + 1}"},
        {"host": f"user@127.0.0.1:{PORT}"},
        {"host": f"0.0.0.0:{PORT}"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"origin": f"http://localhost:{PORT}"},
        {"origin": f"{HERE}.evil.example"},
        {"origin": f"{HERE}/"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "Cross-Site"},
    ],
)
def test_what_another_page_sends_is_refused_whoever_is_logged_in(
    headers: dict[str, str], known: TestClient, passed: Pass, behind: Behind
) -> None:
    sent = {**headers, "authorization": f"Bearer {passed.token}"}
    assert known.get("/", headers=sent).status_code == 403
    assert known.post("/graphql", json={"query": READS}, headers=sent).status_code == 403
    assert known.options("/graphql", headers=sent).status_code == 403
    assert known.get(f"/?token={passed.token}", headers=headers).status_code == 403
    assert behind.reached == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": HERE},
        {"sec-fetch-site": "same-origin", "origin": HERE},
        {"sec-fetch-site": "none"},
        {"host": f"localhost:{PORT}", "origin": f"http://localhost:{PORT}"},
        {"host": f"LocalHost:{PORT}"},
    ],
)
def test_what_its_own_pages_send_goes_in(
    headers: dict[str, str], known: TestClient, passed: Pass
) -> None:
    sent = {**headers, "authorization": f"Bearer {passed.token}"}
    assert known.post("/graphql", json={"query": CHANGES}, headers=sent).status_code == 200


# -- in which form ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "text/plain; application/json",
        "application/jsonp",
        "application/json, text/plain",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/report_asset_materialization/a", "/anything"])
def test_a_post_that_is_not_json_is_refused(
    kind: str, path: str, known: TestClient, behind: Behind
) -> None:
    found = known.post(path, content=json.dumps({"query": CHANGES}), headers={"content-type": kind})
    assert found.status_code == 415
    assert behind.reached == []


def test_a_post_without_any_type_is_refused(known: TestClient, behind: Behind) -> None:
    assert known.post("/graphql", params={"query": CHANGES}).status_code == 415
    assert behind.reached == []


def test_json_with_a_character_set_is_json(known: TestClient) -> None:
    sent = {"content-type": "Application/JSON; charset=utf-8"}
    assert known.post("/graphql", content="{}", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        CHANGES,
        "mutation X { a }",
        "subscription { a }",
        f"{READS.replace('{', 'query A {')} {CHANGES.replace('mutation', 'mutation B')}",
        "# a comment\n" + CHANGES,
        ",,, mutation { a }",
        "\ufeffmutation { a }",
        "fragment F on Q { a } mutation { a }",
        "fragment F on Q { a }",
        "mutation { a",
        "",
        "{" * 5000,
    ],
)
def test_a_get_that_could_change_something_is_refused(
    text: str, known: TestClient, behind: Behind
) -> None:
    for path in ("/graphql", "/graphql/", "/%67raphql"):
        assert known.get(path, params={"query": text}).status_code == 405
        both = [("query", READS), ("query", text), ("operationName", "B")]
        assert known.get(path, params=both).status_code == 405
    assert behind.reached == []


def test_a_get_that_reads_is_answered(known: TestClient) -> None:
    assert known.get("/graphql", params={"query": READS}).status_code == 200
    assert known.get("/graphql").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(method: str, known: TestClient, behind: Behind) -> None:
    assert known.request(method, "/graphql", headers=JSON).status_code == 405
    assert behind.reached == []


@pytest.mark.parametrize("is_known", [True, False])
def test_every_answer_closes_the_site_to_frames_referrers_and_other_origins(
    is_known: bool, known: TestClient, stranger: TestClient
) -> None:
    found = (known if is_known else stranger).get("/")
    assert not [name for name in found.headers if name.startswith("access-control")]
    assert found.headers["x-frame-options"] == "DENY"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in found.headers["content-security-policy"]


# -- live updates ----------------------------------------------------------------------------------


def start(text: str, kind: str = "start") -> dict[str, Any]:
    return {"type": kind, "id": "1", "payload": {"query": text}}


def test_a_socket_of_its_own_page_gets_updates(known: TestClient, behind: Behind) -> None:
    with known.websocket_connect(SOCKET, headers={"origin": HERE}) as socket:
        for message in ({"type": "connection_init"}, start("subscription { a }"), start(READS)):
            socket.send_json(message)
            assert socket.receive_json() == {"type": "data"}
    assert behind.reached == ["ws connection_init", "ws start", "ws start"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"host": "evil.example"},
        {"sec-fetch-site": "cross-site", "origin": HERE},
    ],
)
def test_a_socket_of_another_page_is_refused(
    headers: dict[str, str], known: TestClient, behind: Behind
) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        known.websocket_connect(SOCKET, headers=headers) as socket,
    ):
        socket.send_json(start(READS))
    assert behind.reached == []


@pytest.mark.parametrize("path", [SOCKET, f"{SOCKET}?token={{token}}"])
def test_a_socket_of_a_stranger_is_refused(
    path: str, stranger: TestClient, passed: Pass, behind: Behind
) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        stranger.websocket_connect(path.format(token=passed.token), headers={"origin": HERE}),
    ):
        pass
    assert behind.reached == []


@pytest.mark.parametrize(
    "message",
    [
        json.dumps(start(CHANGES)),
        json.dumps(start("mutation { a", "subscribe")),
        json.dumps({"type": "start", "id": "1"}),
        json.dumps({"type": "start", "payload": {"query": ["mutation { a }"]}}),
        "[1]",
        "no json",
    ],
)
def test_a_socket_changes_nothing(message: str, known: TestClient, behind: Behind) -> None:
    with known.websocket_connect(SOCKET, headers={"origin": HERE}) as socket:
        socket.send_text(message)
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
    assert behind.reached == []


def test_what_reads_is_told_by_the_parser_of_the_webserver() -> None:
    assert only_reads("query A { a } query B { b } fragment F on Q { a }")
    assert not only_reads("query A { a } mutation B { b }")


def test_pages_of_our_own_stand_behind_the_door_and_everything_else_goes_on(
    behind: Behind, passed: Pass
) -> None:
    asked: list[str] = []

    def page(words: str) -> Answer:
        asked.append(words)
        return Answer(200, "<p>a page</p>")

    app = Door(OwnPages(behind.app, page), passed)
    browser = TestClient(app, base_url=HERE, follow_redirects=False)
    assert browser.get("/samplemix/lineage/default").status_code == 401
    assert browser.get("/samplemix/lineage/x", headers={"host": "evil"}).status_code == 403
    assert asked == []
    browser.get(f"/?token={passed.token}")
    found = browser.get("/samplemix/lineage/default/abc")
    assert (found.status_code, found.text, asked) == (200, "<p>a page</p>", ["default/abc"])
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
    assert found.headers["x-content-type-options"] == "nosniff"
    assert browser.head("/samplemix/lineage/default").text == ""
    assert behind.reached == []
    browser.get("/samplemix/other")
    browser.post("/samplemix/lineage/default", json={})
    assert behind.reached == ["GET /samplemix/other", "POST /samplemix/lineage/default"]
