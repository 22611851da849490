"""Nobody is let in who was not asked in, whatever a request says of itself."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from zoo_eval.errors import BadInput
from zoo_eval.explorer.guard import POLICY, VARIABLE, Door, Guard, token

TOKEN = "planted-token-of-a-test"


def client(host: str, known: str | None = None) -> TestClient:
    async def page(request):
        return PlainTextResponse("shown")

    app = Starlette(routes=[Route("/", page, methods=["GET", "POST"])])
    guarded = Guard(app, Door.of(host, known))
    return TestClient(guarded, "http://127.0.0.1:8020", follow_redirects=False)


@pytest.mark.parametrize("name", ["127.0.0.1:8020", "localhost:9000", "LOCALHOST", "[::1]:8020"])
def test_this_machine_is_served_by_its_names_through_any_port(name):
    assert client("127.0.0.1").get("/", headers={"host": name}).text == "shown"


@pytest.mark.parametrize("name", [
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8020", "localhost.", "127.0.0.2",
    "user@localhost", "localhost:8020:1", "localhost,evil.example", "", " ", "localhost/x", "0.0.0.0",
    "[::2]", "LOCALHOST\u0130",
])  # fmt: skip
def test_another_name_is_not_answered(name):
    found = client("127.0.0.1").get("/", headers={"host": name.encode()})
    assert (found.status_code, "shown" in found.text) == (421, False)
    assert "open the address that it printed" in found.text


def test_two_names_at_once_are_none():
    headers = [("host", "localhost"), ("host", "localhost")]
    assert client("127.0.0.1").get("/", headers=headers).status_code == 421


def test_elsewhere_any_name_is_served_to_who_knows_the_token():
    asked = client("0.0.0.0", TOKEN)
    assert asked.get("/", headers={"host": "gpu-box:8020"}).status_code == 401
    headers = {"host": "gpu-box:8020", "authorization": f"Bearer {TOKEN}"}
    assert asked.get("/", headers=headers).text == "shown"


@pytest.mark.parametrize("origin", [
    "http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8020", "", "127.0.0.1:8020",
])  # fmt: skip
def test_a_form_of_another_page_is_refused(origin):
    found = client("127.0.0.1").post("/", headers={"origin": origin})
    assert (found.status_code, "shown" in found.text) == (403, False)


def test_a_form_of_its_own_and_a_program_are_answered():
    asked = client("127.0.0.1")
    assert asked.post("/", headers={"origin": "http://127.0.0.1:8020"}).text == "shown"
    assert asked.post("/").text == "shown"
    assert asked.post("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_the_first_visit_leaves_a_cookie_and_takes_the_token_out_of_the_address():
    asked = client("0.0.0.0", TOKEN)
    assert asked.get("/").status_code == 401
    first = asked.get("/", params={"token": TOKEN})
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "httponly" in cookie.lower()
    assert asked.get("/").text == "shown"


@pytest.mark.parametrize(
    "wrong", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\u0000", "é" * 30, "%"]
)
def test_a_wrong_token_opens_nothing_wherever_it_stands(wrong):
    asked = client("0.0.0.0", TOKEN)
    assert asked.get("/", params={"token": wrong}).status_code == 403
    headers = {"authorization": b"Bearer " + wrong.encode()}
    assert asked.get("/", headers=headers).status_code == 401
    assert asked.get("/", headers={"cookie": b"zoo_eval_8020=" + wrong.encode()}).status_code == 401
    assert asked.get("/", headers={"cookie": f"zoo_eval_8020={TOKEN}"}).status_code == 401


def test_a_path_beside_the_token_leads_nowhere_else():
    found = client("0.0.0.0", TOKEN).get("//evil.example", params={"token": TOKEN})
    assert found.headers["location"] == "/"


def test_every_answer_says_that_it_loads_nothing_and_is_framed_nowhere():
    for status, found in (
        (200, client("127.0.0.1").get("/")),
        (404, client("127.0.0.1").get("/none")),
        (401, client("0.0.0.0", TOKEN).get("/")),
        (421, client("127.0.0.1").get("/", headers={"host": "evil.example"})),
    ):
        assert found.status_code == status
        assert found.headers["content-security-policy"] == POLICY
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["x-frame-options"] == "DENY"
        assert not [name for name in found.headers if name.startswith("access-control")]


def test_loopback_needs_no_token_unless_one_is_set():
    assert token("127.0.0.1", {}) is token("::1", {}) is token("localhost", {}) is None
    assert token("127.0.0.1", {VARIABLE: TOKEN}) == TOKEN
    made = {token(host, {}) for host in ("0.0.0.0", "::", "gpu-box", "10.0.0.1")}
    assert len(made) == 4
    assert all(len(one) >= 40 for one in made)


@pytest.mark.parametrize("given", ["", "short", "x" * 15, "with\nline" * 4, "é" * 20])
def test_a_token_that_could_be_guessed_is_refused(given):
    with pytest.raises(BadInput, match=VARIABLE):
        token("0.0.0.0", {VARIABLE: given})
