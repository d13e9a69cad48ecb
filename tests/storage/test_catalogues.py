"""Catalogues of other systems, as the import command reads them; and the versions of products."""

import gzip
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine

from experiments.catalogue import parse_product
from experiments.moment import DAY, Micros
from experiments.service.settings import store_products
from experiments.storage.database import reading, writing
from experiments.storage.products import product_at, product_versions, read_products
from tests.shop import NOW, PRODUCTS, open_shop
from webapp.cli import main

SHOPIFY = """\
Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,\
Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,\
Image Src,Variant Image,Cost per item,Status
mug,Mug,<p>A mug</p>,Morgen,Home & Garden > Kitchen > Mugs,Mug,red,true,Colour,Red,'MUG-R,shopify,3,deny,12.50,15.00,\
https://shop.example/mug.jpg,https://shop.example/red.jpg,4.00,active
mug,,,,,,,,,Blue,MUG-B,shopify,-2,deny,12.50,,,,4.00,
mug,,,,,,,,,,,,,,,,https://shop.example/second.jpg,,,
tea,Tea,,Blatt,,Tea,,true,Title,Default Title,,,,continue,5.50,,https://shop.example/tea.jpg,,,active
old,Old,,Blatt,,Tea,,true,Title,Default Title,OLD,,,continue,5.50,,,,,archived
"""

ITEM = """
<item><g:id>MUG</g:id><g:title>Mug &amp; lid</g:title><g:link>https://shop.example/mug</g:link>
<g:image_link>https://shop.example/mug.jpg</g:image_link><g:price>15.00 EUR</g:price>
<g:sale_price>12.50 EUR</g:sale_price><g:availability>in_stock</g:availability>
<g:shipping><g:country>DE</g:country><g:price>4.95 EUR</g:price></g:shipping>
<g:product_type>Home &gt; Kitchen &gt; Mugs</g:product_type><g:brand>Morgen</g:brand>
<g:cost_of_goods_sold>4.00 EUR</g:cost_of_goods_sold></item>
<item><g:id>TEA</g:id><title>Tea</title><link>https://shop.example/tea</link><g:price>5.50 EUR</g:price>
<g:availability>out of stock</g:availability></item>
<item><g:id>PIE</g:id><title>Pie</title><g:price>5.50 USD</g:price><g:availability>in_stock</g:availability></item>
"""
RSS = (
    f'<?xml version="1.0"?>\n<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>{ITEM}</channel></rss>'
)
TSV = (
    "id\ttitle\tlink\timage link\tprice\tsale price\tsale price effective date\tavailability\tproduct type\n"
    "MUG\tMug\thttps://shop.example/mug\thttps://shop.example/mug.jpg\t15.00 EUR\t12.50 EUR\t"
    "2020-01-01T00:00+0100/2020-02-01T00:00+0100\tin stock\tHome > Mugs\n"
)


def run(engine: Engine, path: Path, *options: str) -> int:
    url = engine.url.render_as_string(hide_password=False)
    with pytest.raises(SystemExit) as ended:
        main(["import", "products", str(path), "--storefront", "shop", "--database", url, *options])
    return int(ended.value.code or 0)


def imported(engine: Engine, path: Path, text: str, *options: str) -> dict[str, dict]:
    """What stands in the catalogue afterwards."""
    shop = open_shop(engine, products=False)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    assert run(engine, path, *options) == 0
    with reading(engine) as conn:
        return {p.product_id: msgspec.to_builtins(p) for p in read_products(conn, shop.storefront.id)}


def test_shopifys_csv_is_one_product_for_each_variant(engine: Engine, tmp_path: Path) -> None:
    found = imported(engine, tmp_path / "products_export.csv", SHOPIFY)
    assert found.keys() == {"MUG-R", "MUG-B", "tea", "OLD"}
    assert found["MUG-R"] == {
        "product_id": "MUG-R", "title": "Mug (Red)", "price": 1250, "compare_at": 1500, "cost": 400, "stock": 3,
        "category": "Home & Garden/Kitchen/Mugs", "url": "/products/mug", "image": "https://shop.example/red.jpg",
        "attributes": {"Colour": "Red", "vendor": "Morgen", "type": "Mug"},
    }  # fmt: skip
    assert found["MUG-B"]["stock"] == 0
    assert found["MUG-B"]["image"] == "https://shop.example/mug.jpg"
    assert "stock" not in found["tea"]
    assert (found["tea"]["title"], found["tea"]["category"]) == ("Tea", "Tea")
    assert found["OLD"]["stock"] == 0  # archived: it is not for sale


@pytest.mark.parametrize("name", ["feed.xml", "feed.xml.gz"])
def test_googles_feed_in_xml(engine: Engine, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = imported(engine, tmp_path / name, RSS)
    assert found["MUG"] == {
        "product_id": "MUG", "title": "Mug & lid", "price": 1250, "compare_at": 1500, "cost": 400,
        "category": "Home/Kitchen/Mugs", "url": "https://shop.example/mug", "image": "https://shop.example/mug.jpg",
        "attributes": {"brand": "Morgen"},
    }  # fmt: skip
    assert found["TEA"]["stock"] == 0
    said = capsys.readouterr().out
    assert "rejected 1" in said
    assert "price is in USD, and the storefront counts in EUR" in said


def test_googles_feed_in_tsv_and_a_sale_that_is_over(engine: Engine, tmp_path: Path) -> None:
    found = imported(engine, tmp_path / "feed.tsv", TSV)
    assert (found["MUG"]["price"], found["MUG"]["category"]) == (1500, "Home/Mugs")
    assert "compare_at" not in found["MUG"]


def test_a_feed_that_declares_entities_or_breaks_off_is_refused(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_shop(engine, products=False)
    bomb = tmp_path / "bomb.xml"
    bomb.write_text('<!DOCTYPE rss [<!ENTITY a "aaaa">]><rss><channel><item><id>&a;</id></item></channel></rss>')
    assert run(engine, bomb) == 2
    assert "DOCTYPE" in capsys.readouterr().err
    cut = tmp_path / "cut.xml"
    cut.write_text(RSS[:400])
    assert run(engine, cut) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_importing_a_foreign_catalogue_again_changes_nothing(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(engine, tmp_path / "products_export.csv", SHOPIFY)
    assert run(engine, tmp_path / "products_export.csv", "--format", "shopify") == 0
    assert "duplicate 4" in capsys.readouterr().out


def test_a_report_knows_the_price_that_was_shown(engine: Engine) -> None:
    shop = open_shop(engine)
    later, sold = Micros(NOW + DAY), Micros(NOW + 2 * DAY)
    for at, change in ((later, {"price": "11.00"}), (sold, {"stock": 3})):
        with writing(engine) as conn:
            store_products(
                conn, shop.storefront.id, [parse_product(PRODUCTS[0] | {"price": "11.00"} | change, "EUR")], at
            )
    with reading(engine) as conn:
        versions = product_versions(conn, shop.storefront.id, "A1")
        assert [(v.at, v.price) for v in versions] == [(NOW, 1000), (later, 1100)]  # stock alone is no version
        for at, price in ((NOW, 1000), (Micros(later - 1), 1000), (later, 1100), (sold, 1100)):
            shown = product_at(conn, shop.storefront.id, "A1", at)
            assert shown is not None
            assert shown.price == price
        assert product_at(conn, shop.storefront.id, "A1", Micros(NOW - 1)) is None
