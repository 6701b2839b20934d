"""Who is let in, and with what headers every answer goes out."""

from __future__ import annotations

import re

import pytest

from vidscan.serve.access import Door


def test_without_the_token_there_is_nothing(serve):
    running = serve()
    for path in (
        "/",
        "/page/app.js",
        "/api/v1/results",
        "/api/v1/openapi.json",
        "/api/v1/events",
        "/nowhere",
    ):
        assert running.ask("GET", path, headers={"Authorization": None}).status == 401, path
    for given in ("Bearer", "Bearer x", f"Basic {running.door.token}", f"Bearer {running.door.token}x"):
        assert running.api("GET", "/results", headers={"Authorization": given}).status == 401
    refused = running.api("POST", "/scans", {"path": "x"}, {"Authorization": None})
    assert refused.status == 401 and "Bearer" in refused.error
    assert running.ask("GET", "/?token=wrong", headers={"Authorization": None}).status == 401


def test_address_gives_a_cookie_and_drops_the_token(serve):
    running = serve()
    opened = running.ask("GET", f"/?token={running.door.token}", headers={"Authorization": None})
    assert opened.status == 303 and opened.headers["location"] == "/"
    cookie, *attributes = opened.headers["set-cookie"].split("; ")
    assert cookie.startswith(f"vidscan-{running.port}=")
    assert {each.lower() for each in attributes} == {"httponly", "samesite=strict", "path=/"}
    page = running.ask("GET", "/", headers={"Authorization": None, "Cookie": f"other=1; {cookie}"})
    assert page.status == 200 and b"<html" in page.body and running.door.token.encode() not in page.body
    elsewhere = {"Authorization": None, "Cookie": cookie.replace(str(running.port), "1")}
    assert running.ask("GET", "/", headers=elsewhere).status == 401


def test_link_of_another_site_is_led_on_by_a_page_of_ours(serve):
    """A browser would send no strict cookie on a redirect from elsewhere."""
    running = serve()
    headers = {"Authorization": None, "Sec-Fetch-Site": "cross-site"}
    opened = running.ask("GET", f"/?token={running.door.token}", headers=headers)
    assert opened.status == 200 and b'url=/"' in opened.body and "set-cookie" in opened.headers


def test_token_that_the_browser_is_started_with_opens_once(serve):
    running = serve()
    token = running.door.token_for_once()
    assert running.ask("GET", f"/?token={token}", headers={"Authorization": None}).status == 303
    assert running.ask("GET", f"/?token={token}", headers={"Authorization": None}).status == 401
    assert running.api("GET", "/results", headers={"Authorization": f"Bearer {token}"}).status == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "a@127.0.0.1"]
)
def test_host_of_another_name_is_refused(serve, host):
    """A page elsewhere can have its name point to this machine, but not send another Host."""
    running = serve()
    refused = running.api("GET", "/results", headers={"Host": host})
    assert refused.status == 403 and refused.body
    assert running.ask("GET", f"/?token={running.door.token}", headers={"Host": host}).status == 403


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_requests_of_other_pages_are_refused(serve, foreign):
    running = serve()
    assert running.api("POST", "/scans", {"path": ""}, foreign).status == 403
    assert running.api("PUT", "/results/1/mark", {"mark": None}, foreign).status == 403
    assert running.api("DELETE", "/scans/1", None, foreign).status == 403
    assert running.api("GET", "/events", headers=foreign).status == 403
    assert running.api("GET", "/results", headers=foreign).status == 403
    preflight = {"Access-Control-Request-Method": "PUT"} | foreign
    allowed = running.api("OPTIONS", "/scans", headers={"Authorization": None} | preflight)
    assert allowed.status == 403
    assert not any(name.startswith("access-control") for name in allowed.headers)


def test_cookie_changes_something_from_the_own_page_alone(serve):
    running = serve()
    cookie = {"Authorization": None, "Cookie": f"{running.door.cookie}={running.door.token}"}
    assert running.api("DELETE", "/scans/1", None, cookie).status == 403
    own = {"Origin": f"http://127.0.0.1:{running.port}", "Sec-Fetch-Site": "same-origin"}
    assert running.api("DELETE", "/scans/1", None, cookie | own).status == 404
    assert running.api("GET", "/results", None, cookie).status == 200


def test_every_answer_has_the_headers_that_protect(serve):
    running = serve()
    answers = [
        running.ask("GET", "/"),
        running.api("GET", "/results"),
        running.api("GET", "/nowhere"),
        running.api("GET", "/results", headers={"Authorization": None}),
        running.api("GET", "/results", headers={"Host": "evil.example"}),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert (
            "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )
        assert not re.search("access-control|^server$", " ".join(answer.headers))


def test_names_for_a_proxy_and_addresses_for_other_machines():
    closed = Door(8000)
    assert closed.knows("127.0.0.1:8000") and closed.knows("localhost:8000") and closed.knows("[::1]:8000")
    assert not closed.knows("192.168.1.5:8000") and not closed.knows("scan.example.org")
    proxied = Door(8000, frozenset(("scan.example.org",)))
    assert proxied.knows("Scan.Example.org") and not proxied.knows("other.example.org")
    reachable = Door(8000, addresses=True)
    assert reachable.knows("192.168.1.5:8000") and reachable.knows("[fe80::1]:8000")
    assert not reachable.knows("evil.example:8000")


def test_tokens_are_long_and_never_told():
    door = Door(8000)
    assert len(door.token) >= 43 and door.token != Door(8000).token
    assert door.token not in repr(door)
    assert not door.opens("é" * 43) and not door.opens(None)
