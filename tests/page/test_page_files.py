"""How the files of the page are served."""

from html.parser import HTMLParser

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from server.http import page
from server.http.middleware import SafeHeaders

TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


@pytest.fixture
def files():
    app = FastAPI()
    app.include_router(page.router)
    app.add_middleware(SafeHeaders)
    return TestClient(app)


class Inline(HTMLParser):
    """Whatever a strict policy would refuse."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.found += [name for name in given if name == "style" or name.startswith("on")]
        self.found += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []
        links = (given.get(name) or "" for name in ("src", "href", "action"))
        # Neither elsewhere nor from the root: a proxy may serve the page under a path.
        self.found += [link for link in links if link.startswith("/") or ":" in link]


def test_page_has_nothing_inline_and_nothing_from_elsewhere(files):
    reply = files.get("/")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy and "http" not in policy
    inline = Inline()
    inline.feed(reply.text)
    assert inline.found == []


@pytest.mark.parametrize("name", sorted(page.ASSETS.keys() - {"index.html"}))
def test_files_have_types_and_are_sent_once(files, name):
    reply = files.get(f"/web/{name}")
    assert reply.status_code == 200 and reply.content == page.ASSETS[name].content
    assert reply.headers["content-type"].partition(";")[0] == TYPES[name.rpartition(".")[2]]
    assert reply.headers["cache-control"] == "no-cache"
    tag = reply.headers["etag"]
    again = files.get(f"/web/{name}", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert files.get(f"/web/{name}", headers={"If-None-Match": '"other"'}).status_code == 200


def test_head_has_the_headers_alone(files):
    get, head = files.get("/"), files.head("/")
    assert head.status_code == 200 and head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize(
    "path", ["/web/", "/web/none.js", "/web/..%2Fpage.py", "/web/../page.py", "/web/%00"]
)
def test_other_files_are_not_there(files, path):
    assert files.get(path).status_code == 404


def test_every_module_is_imported_and_there():
    """A file nobody imports is dead, one that is not there breaks the page."""
    imported = {"main.js"}
    for name, asset in page.ASSETS.items():
        if name.endswith(".js"):
            lines = asset.content.decode().splitlines()
            imported |= {line.split('"./')[1].split('"')[0] for line in lines if 'from "./' in line}
    assert imported == {name for name in page.ASSETS if name.endswith(".js")}
    assert all(asset.content.count(b"\n") <= 300 for asset in page.ASSETS.values())
