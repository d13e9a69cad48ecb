"""Language and light or dark: chosen by the reader, without a script, kept when they sign out."""

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import write_po

from tests.shop import Shop
from tests.ui.browser import Browser, Form
from webapp.ui.language import is_complete, languages


def frame_form(browser: Browser, action: str) -> Form:
    """A form of the frame of a page."""
    return next(f for f in (browser.form("/s/shop/catalogue/", n) for n in range(4)) if f.action == action)


def look(browser: Browser, **chosen: str) -> int:
    form = frame_form(browser, "/look")
    for name, value in chosen.items():
        form.set(name, value)
    answer = browser.send(form, "")
    assert answer.location == "/s/shop/catalogue/"
    return answer.status_code


def test_dark_and_light_outlive_the_session(editor: Browser, shop: Shop) -> None:
    assert 'data-theme="auto"' in editor.text("/s/shop/catalogue/")
    look(editor, theme="dark")
    assert 'data-theme="dark"' in editor.text("/s/shop/catalogue/")
    assert '<meta name="color-scheme" content="dark">' in editor.text("/s/shop/catalogue/")
    editor.send(frame_form(editor, "/logout"), "")
    assert editor.get("/s/shop/catalogue/").status_code == 302
    assert 'data-theme="dark"' in editor.get("/login").text


def test_what_nobody_offered_cannot_be_chosen(editor: Browser, shop: Shop) -> None:
    look(editor, theme="sepia", language="tlh")
    assert 'data-theme="auto"' in editor.text("/s/shop/catalogue/")
    assert '<html lang="en"' in editor.text("/s/shop/catalogue/")


def test_the_way_back_is_never_another_site(editor: Browser, shop: Shop) -> None:
    form = frame_form(editor, "/look")
    assert editor.send(form.set("next", "https://evil.example/").set("theme", "dark"), "").location == "/"


def test_only_a_complete_catalogue_is_offered(tmp_path: Path) -> None:
    messages = tmp_path / "pl" / "LC_MESSAGES"
    messages.mkdir(parents=True)

    def write(**texts: str) -> None:
        catalogue = Catalog(locale="pl")
        for source, text in texts.items():
            catalogue.add(source, text)
        with (messages / "messages.po").open("wb") as po, (messages / "messages.mo").open("wb") as mo:
            write_po(po, catalogue)
            write_mo(mo, catalogue)

    assert not is_complete(tmp_path, "pl")
    write(Home="Start", Keys="")
    assert not is_complete(tmp_path, "pl")
    write(Home="Start", Keys="Klucze")
    assert is_complete(tmp_path, "pl")
    assert languages()["en"] == "English"
