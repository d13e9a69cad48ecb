"""A product's page with its versions, and the preview of an experiment on a product or a cart."""

from tests.shop import NOW, Shop, experiment, order
from tests.ui.browser import Browser


def test_a_products_page_shows_what_it_cost_when(shop: Shop, editor: Browser) -> None:
    page = editor.get("/s/shop/catalogue/products/A1")
    assert "Mug" in page.text
    assert "10.00" in page.text
    assert "No product is bought with it" in page.text
    assert editor.get("/s/shop/catalogue/products/NOPE").status_code == 404


def test_the_preview_shows_every_variant_where_the_visitor_stands(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(), start=False)
    page = editor.get("/s/shop/experiments/offers/preview?product=Mug")
    for words in ("A visitor here enters", "17.55", "saves €1.95", "Margin €10.55", "Margin not known"):
        assert words in page.text, words
    assert "No order of the last 14 days" in page.text
    page = editor.get("/s/shop/experiments/offers/preview?cart=C1,Nothing")
    assert "A visitor here stays out" in page.text
    assert "Not in the catalogue: Nothing" in page.text


def test_past_carts_are_in_the_preview(shop: Shop, editor: Browser) -> None:
    from webapp.clock import now

    lines = [{"product_id": "A1", "quantity": 1, "price": 5}]
    shop.convert(order("o1", "v1", 10, items=lines), now=max(NOW, now()))
    shop.define(experiment(), start=False)
    assert "1 of 1 places" in editor.get("/s/shop/experiments/offers/preview").text
