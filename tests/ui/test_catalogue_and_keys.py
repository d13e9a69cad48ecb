import io
from collections.abc import Callable

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from experiments.errors import Malformed
from experiments.storage.keys import digest
from tests.shop import Shop
from tests.ui.browser import Browser
from webapp.ui.catalogue import read_csv

CATALOGUE, KEYS = "/s/shop/catalogue/", "/s/shop/keys/"


def upload(browser: Browser, content: bytes) -> tuple[int, str]:
    fields = dict(browser.form(CATALOGUE).fields)
    file = FileStorage(io.BytesIO(content), "products.csv")
    # encoded here: what the test client encodes by itself it may leave in an open temporary file
    boundary, body = encode_multipart(fields | {"file": file})
    answer = browser.client.post(CATALOGUE, data=body, content_type=f"multipart/form-data; boundary={boundary}")
    page = browser.text(answer.location) if answer.status_code == 302 else answer.text
    return answer.status_code, page


def test_a_csv_adds_and_replaces_products(shop: Shop, editor: Browser) -> None:
    content = "product_id,title,price,cost,stock,attributes.colour\nA1,Mug,11.00,4.00,,red\nN1,Néw,2.50,,7,\n".encode()
    status, page = upload(editor, content)
    assert status == 302
    assert "2 products new or changed" in page
    found = shop.view.catalogue.get("A1")
    assert found is not None
    assert (found.price, found.stock, found.attributes) == (1100, None, {"colour": "red"})
    assert shop.view.catalogue.get("N1").stock == 7
    assert len(shop.view.catalogue) == 7
    assert "1 products" not in upload(editor, content)[1].partition("as they were")[0]


def test_one_wrong_line_changes_nothing_and_is_named(shop: Shop, editor: Browser) -> None:
    status, page = upload(editor, b"product_id,title,price,stock\nN1,New,2.50,1\nN2,,x,many\n")
    assert status == 422
    assert "Nothing was changed" in page
    assert "Line 3" in page
    assert shop.view.catalogue.get("N1") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "product_id, title, price is missing"),
        (b"id,name\n1,2\n", "product_id, title, price is missing"),
        (b"product_id,title,price,colour\n1,2,3,4\n", "colour is no column here"),
        ("product_id,title,price\n1,Ä,3\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_what_is_no_catalogue_is_said(content: bytes, said: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_csv(content, "EUR")
    assert said in refused.value.message


def test_spreadsheets_own_dialects_are_read() -> None:
    products, wrong = read_csv('\ufeffproduct_id;title;price\r\nA;A; B;1.00\r\nB;"Two;three";2\r\n'.encode(), "EUR")
    assert [p.title for p in products] == ["Two;three"]
    assert wrong[0].line == 2


def test_a_file_larger_than_an_api_call_is_taken(shop: Shop, editor: Browser) -> None:
    lines = "".join(f"L{n},{'A long title ' * 40}{n},1.00\n" for n in range(2_200))
    assert len(lines) > 1_048_576
    assert upload(editor, f"product_id,title,price\n{lines}".encode())[0] == 302
    assert "2,206 products" in editor.text(CATALOGUE)
    assert "Page </span>45" in editor.text(f"{CATALOGUE}?page=999")


def test_the_catalogue_is_found_by_words(shop: Shop, editor: Browser) -> None:
    page = editor.text(f"{CATALOGUE}?q=MUG+big")
    assert "Big mug" in page
    assert "Huge mug" not in page


def test_a_key_is_shown_once_works_and_stops_working(shop: Shop, sign_in: Callable[[str], Browser]) -> None:
    admin = sign_in("admin")
    answer = admin.send(admin.form(KEYS).set("kind", "secret"), KEYS)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    key = answer.text.partition('class="secret" tabindex="0">')[2].partition("<")[0]
    assert key.startswith("sk_")
    body = {"visitor_id": "v", "placement": "cart"}
    caller = {"Authorization": f"Bearer {key}"}
    assert admin.client.post("/v1/assignments", json=body, headers=caller).status_code == 200
    page = admin.text(KEYS)
    assert key not in page
    assert f"sk_…{key[-4:]}" in page
    revoke = next(form for n in range(1, 9) if "/revoke" in (form := admin.form(KEYS, n)).action)
    assert admin.send(revoke, KEYS).status_code == 302
    assert admin.client.post("/v1/assignments", json=body, headers=caller).status_code == 401
    assert digest(key) not in admin.text(KEYS)


def test_a_storefronts_admin_page_does_not_revoke_anothers_key(shop: Shop, sign_in: Callable[[str], Browser]) -> None:
    from tests.shop import open_shop

    other = open_shop(shop.engine, "other")
    admin = sign_in("admin")
    admin.send(admin.form("/s/other/keys/").set("kind", "public"), "/s/other/keys/")
    form = next(f for n in range(1, 9) if "/revoke" in (f := admin.form("/s/other/keys/", n)).action)
    answer = admin.client.post(form.action.replace("/s/other/", "/s/shop/"), data=dict(form.fields))
    assert answer.status_code == 422
    assert other.storefront.key == "other"
    assert "pk_…" in admin.text("/s/other/keys/")
