"""Messages arrive once and signed, are tried again until they are given up, and never where they must not go."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from analysis.watching import Watch
from experiments.errors import Invalid
from experiments.moment import SECOND, Micros
from experiments.sealing import Seal
from experiments.service.alert_targets import change_targets, send_test
from experiments.storage.database import reading, writing
from experiments.storage.outbox import Message, messages, targets
from tests.shop import NOW, Shop, open_shop
from tests.watching.receivers import mail_server, web_server
from tests.watching.worlds import at, run
from webapp.config import Settings, load
from webapp.mailserver import read_smtp
from webapp.watching.addresses import address_of, is_public
from webapp.watching.posting import Webhook, post, signed
from webapp.watching.sending import ATTEMPTS, Senders, send_due, wait_after
from webapp.watching.undelivered import Undelivered

SEAL = Seal(["for tests only"])


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return open_shop(engine)


def tell(shop: Shop, **value: Any) -> str:
    """Set where alerts go; the webhook's secret."""
    with writing(shop.engine) as conn:
        made = change_targets(conn, shop.storefront, value, b"r" * 24, SEAL, "pm@shop.example", NOW, plain_http=True)
    return made or ""


def senders(shop: Shop, **settings: Any) -> Senders:
    given = {"private_webhooks": True, "mail_from": "Lab <lab@shop.example>"} | settings
    return Senders(shop.engine, Settings(secret_key="for tests only", **given), SEAL)


def sent(shop: Shop) -> list[Message]:
    with reading(shop.engine) as conn:
        return messages(conn, shop.storefront.id)


def clock(now: int) -> Callable[[], Micros]:
    return lambda: Micros(now)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example that the specification's own libraries are tested by."""
    made = signed(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
        Micros(1614265330 * SECOND), b'{"test": 2432232314}',
    )  # fmt: skip
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_alert_is_posted_with_its_signature_over_the_raw_body(shop: Shop) -> None:
    with web_server(204) as got:
        secret = tell(shop, webhook_url=got.url)
        run(shop)
        Watch(shop.engine, "https://lab.example/").round(at(0.1))
        assert send_due(shop.engine, senders(shop), clock(at(0.1))) == 1
        assert send_due(shop.engine, senders(shop), clock(at(0.2))) == 0
    ((headers, body),) = got.posts
    told = json.loads(body)
    assert (told["kind"], told["storefront"], told["experiment"]) == ("started", "shop", "same")
    assert told["text"] == "same: It has started. https://lab.example/s/shop/experiments/same"
    assert told["url"] == "https://lab.example/s/shop/experiments/same"
    assert headers["webhook-id"] == told["id"]
    over = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = base64.b64encode(hmac.digest(key, over, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert int(headers["webhook-timestamp"]) == at(0.1) // SECOND
    assert [m.state for m in sent(shop)] == ["sent"]


def test_what_fails_is_tried_again_with_growing_pauses(shop: Shop) -> None:
    with web_server(500, 503, 200) as got:
        tell(shop, webhook_url=got.url)
        run(shop)
        Watch(shop.engine).round(at(0.1))
        now = at(0.1)
        for tries, arrived in ((1, 0), (2, 0), (3, 1)):
            assert send_due(shop.engine, senders(shop), clock(now)) == arrived
            assert len(got.posts) == tries
            assert send_due(shop.engine, senders(shop), clock(now + wait_after(tries) - 1)) == 0
            now = Micros(now + wait_after(tries))
        assert len(got.posts) == 3
    (message,) = sent(shop)
    assert (message.state, message.attempts, message.error) == ("sent", 3, "")
    assert len({headers["webhook-id"] for headers, _ in got.posts}) == 1, "a receiver knows a repeat by its id"


def test_it_is_given_up_after_so_many_tries_with_the_last_reason(shop: Shop) -> None:
    with web_server(500) as got:
        tell(shop, webhook_url=got.url)
        with writing(shop.engine) as conn:
            assert send_test(conn, shop.storefront, "pm@shop.example", NOW) == 1
        now = NOW
        for tries in range(1, ATTEMPTS + 3):
            send_due(shop.engine, senders(shop), clock(now))
            now = Micros(now + wait_after(tries))
    (message,) = sent(shop)
    assert (message.state, len(got.posts)) == ("failed", ATTEMPTS)
    assert message.error == "127.0.0.1 answered 500"


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_receiver_that_never_ends_its_answer_is_left(how: str) -> None:
    with web_server(how) as got:
        to = Webhook(got.url, "whsec_" + "QUJD" * 8, private=True, patience=0.4, longest=0.8)
        with pytest.raises(Undelivered, match="did not answer in time"):
            post(to, "m", b"{}", NOW)


def test_redirects_are_not_followed_and_nobody_at_home_is_said(shop: Shop) -> None:
    with web_server("lead") as got:
        to = Webhook(got.url, "whsec_" + "QUJD" * 8, private=True)
        with pytest.raises(Undelivered, match="answered 302"):
            post(to, "m", b"{}", NOW)
        assert len(got.posts) == 1
    with pytest.raises(Undelivered, match="could not be reached"):
        post(to, "m", b"{}", NOW)


def test_this_machine_is_not_called_unless_that_is_allowed(shop: Shop) -> None:
    with web_server(200) as got:
        secret = "whsec_" + "QUJD" * 8
        port = got.url.partition(":")[2].partition(":")[2].partition("/")[0]
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"):
            with pytest.raises(Undelivered, match=r"on this machine or its network|not known"):
                post(Webhook(f"https://{host}:{port}/", secret), "m", b"{}", NOW)
        with pytest.raises(Undelivered, match="must begin with https"):
            post(Webhook(got.url, secret), "m", b"{}", NOW)
        assert got.posts == []
    assert address_of("127.0.0.1", 80, private=True) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("10.0.0.1", False),
        ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False),
        ("0.0.0.0", False), ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False),
        ("fe80::1%eth0", False), ("fd00::1", False), ("ff02::1", False), ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.215.14", True), ("64:ff9b::a00:1", False), ("64:ff9b::5db8:d70e", True),
        ("2002:a00:1::", False), ("nonsense", False),
    ],
)  # fmt: skip
def test_which_addresses_are_of_the_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_mails_go_to_the_list_the_owner_and_the_watchers_once_each(shop: Shop) -> None:
    with mail_server() as box:
        tell(shop, emails=["list@shop.example", "ann@shop.example"])
        run(
            shop,
            name="Mugs\nand tea",
            about={"owner": "Ann@shop.example", "watchers": ["bob@shop.example", "tea team"]},
        )
        Watch(shop.engine).round(at(0.1))
        by_mail = senders(shop, smtp_url=f"smtp://127.0.0.1:{box.port}?tls=off")
        assert send_due(shop.engine, by_mail, clock(at(0.1))) == 3
    assert [to for to, _ in box.mails] == ["list@shop.example", "ann@shop.example", "bob@shop.example"]
    made = box.mails[0][1]
    assert made["Subject"] == "[Offerlab] Mugs and tea: It has started."
    assert made["From"] == "Lab <lab@shop.example>"
    assert "Experiment: same" in made.get_content()


def test_one_address_that_is_refused_keeps_no_mail_from_the_others(shop: Shop) -> None:
    with mail_server() as box:
        box.unknown.add("gone@shop.example")
        tell(shop, emails=["gone@shop.example", "ann@shop.example"])
        with writing(shop.engine) as conn:
            send_test(conn, shop.storefront, "pm@shop.example", NOW)
        by_mail = senders(shop, smtp_url=f"smtp://127.0.0.1:{box.port}?tls=off")
        assert send_due(shop.engine, by_mail, clock(NOW)) == 1
    assert [to for to, _ in box.mails] == ["ann@shop.example"]
    (refused,) = [m for m in sent(shop) if m.target == "gone@shop.example"]
    assert (refused.state, refused.error) == (
        "waiting", "the mail server refuses this address: 550 nobody here by that name",
    )  # fmt: skip


def test_a_line_that_should_be_closed_and_is_open_carries_no_mail(shop: Shop) -> None:
    with mail_server() as box:
        tell(shop, emails=["ann@shop.example"])
        with writing(shop.engine) as conn:
            send_test(conn, shop.storefront, "pm@shop.example", NOW)
        assert send_due(shop.engine, senders(shop, smtp_url=f"smtp://127.0.0.1:{box.port}"), clock(NOW)) == 0
        assert send_due(shop.engine, senders(shop), clock(NOW + wait_after(1))) == 0
    assert box.mails == []
    assert sent(shop)[0].error == "no mail server is set: OFFERLAB_SMTP_URL"


def test_kinds_that_nobody_asked_for_are_not_sent_and_people_may_be_left_out(shop: Shop) -> None:
    tell(shop, emails=["list@shop.example"], kinds=["ended"], tells_people=False)
    run(shop, about={"owner": "ann@shop.example"})
    Watch(shop.engine).round(at(0.1))
    assert sent(shop) == []
    tell(shop, kinds=["started", "ended"])
    run(shop, "second", about={"owner": "ann@shop.example"})
    Watch(shop.engine).round(at(0.2))
    assert [m.target for m in sent(shop)] == ["list@shop.example"]


def test_two_senders_at_once_send_once(shop: Shop) -> None:
    with web_server(200) as got:
        tell(shop, webhook_url=got.url)
        for key in ("a", "b", "c", "d"):
            run(shop, key)
        Watch(shop.engine).round(at(0.1))
        with ThreadPoolExecutor(4) as pool:
            counts = list(pool.map(lambda _: send_due(shop.engine, senders(shop), clock(at(0.1))), range(4)))
    assert sum(counts) == 4
    assert sorted(json.loads(body)["experiment"] for _, body in got.posts) == ["a", "b", "c", "d"]


def test_a_webhook_that_is_taken_out_gets_nothing_more(shop: Shop) -> None:
    with web_server(200) as got:
        tell(shop, webhook_url=got.url)
        run(shop)
        Watch(shop.engine).round(at(0.1))
        tell(shop, webhook_url=None)
        assert send_due(shop.engine, senders(shop), clock(at(0.1))) == 0
        assert got.posts == []
    assert [(m.state, m.error) for m in sent(shop)] == [("failed", "the webhook was taken out")]


def test_addresses_and_secrets_lie_sealed_and_are_sealed_anew(shop: Shop) -> None:
    from experiments.storage.outbox import seal_targets

    secret = tell(shop, webhook_url="https://hooks.example/T0/secret")
    with reading(shop.engine) as conn:
        kept = targets(conn, shop.storefront.id)
    assert "hooks.example" not in f"{kept}"
    assert secret not in f"{kept}"
    renewed = Seal(["another key", "for tests only"])
    with writing(shop.engine) as conn:
        assert seal_targets(conn, renewed) == 1
        fresh = targets(conn, shop.storefront.id)
    assert fresh.webhook_secret is not None
    assert Seal(["another key"]).open(fresh.webhook_secret) == secret


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"webhook_url": "ftp://a.example/"}, "webhook_url"),
        ({"webhook_url": "https://u:p@a.example/"}, "webhook_url"),
        ({"webhook_url": "https://a.example/a b"}, "webhook_url"), ({"webhook_url": "https://[::1"}, "webhook_url"),
        ({"emails": ["ok@a.example", "nobody"]}, "emails[1]"), ({"kinds": ["weather"]}, "kinds[0]"), ({"x": 1}, "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_target_is_refused_by_its_field(shop: Shop, value: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        tell(shop, **value)
    assert [e.field.replace("[...]", "[0]") for e in refused.value.errors] == [field] or field == "kinds[0]"


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("smtp://mail.example", "mail.example", 587, "starttls"),
        ("smtps://u:p%40ss@mail.example", "mail.example", 465, "implicit"),
        ("smtp://localhost:2525?tls=off", "localhost", 2525, "off"),
    ],
)
def test_a_mail_server_is_one_address(url: str, host: str, port: int, tls: str) -> None:
    read = read_smtp(url)
    assert (read.host, read.port, read.tls) == (host, port, tls)
    assert read.password in {"", "p@ss"}


@pytest.mark.parametrize(
    "url", ["http://mail.example", "smtp://", "smtp://u:p@mail.example?tls=off", "smtps://m?tls=off", "smtp://m:x"]
)
def test_a_mail_server_that_is_none_or_would_tell_a_password_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        read_smtp(url)


def test_settings_name_what_is_missing(tmp_path: Path) -> None:
    given = {"OFFERLAB_SECRET_KEY": "x", "OFFERLAB_SMTP_URL": "smtp://mail.example"}
    with pytest.raises(Invalid, match="OFFERLAB_MAIL_FROM"):
        load(given)
    assert load(given | {"OFFERLAB_MAIL_FROM": "a@b.example"}).watch
    assert not load({"OFFERLAB_SECRET_KEY": "x", "OFFERLAB_WATCH": "0"}).watch
