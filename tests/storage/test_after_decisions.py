"""What is kept after a decision, in both databases: links to its report, and what was learned from it."""

from sqlalchemy import Engine

from experiments.identifiers import ExperimentId
from experiments.moment import DAY, Micros
from experiments.service import defining
from experiments.service.sharing import share, unshare
from experiments.sharing import LinkInput
from experiments.storage.database import reading, writing
from experiments.storage.learnings import read_learnings
from experiments.storage.reportlinks import is_news, link_with_key, links_of, note_seen
from tests.shop import NOW, experiment, open_shop
from webapp import deciding


def test_a_decision_is_shared_seen_revoked_and_learned_from(engine: Engine) -> None:
    shop = open_shop(engine)
    shop.define(experiment())
    with writing(engine) as conn:
        defining.act(conn, shop.storefront, "offers", "stop", "test", NOW)
    made = deciding.snapshot(engine, shop.storefront, "offers", NOW)
    with writing(engine) as conn:
        deciding.decide(conn, shop.storefront, "offers", "bundle", "It earns more", "test", made, 500)
        link = share(conn, shop.storefront, "offers", LinkInput("decision", 7), "ann@x", NOW)
    with reading(engine) as conn:
        assert link_with_key(conn, link.id) == (link, shop.storefront.id, "offers")
        [learned] = read_learnings(conn, [shop.storefront.id])
    assert (learned.key, learned.decision["variant"], learned.gist) == ("offers", "bundle", made.gist)
    assert [link.state(Micros(NOW + day * DAY)) for day in (0, 6, 7)] == ["good", "good", "expired"]
    with writing(engine) as conn:
        note_seen(conn, link, NOW)
        [seen] = links_of(conn, ExperimentId(learned.experiment_id))
        assert seen.seen_at == NOW
        assert not is_news(seen, NOW)
        gone = unshare(conn, shop.storefront, "offers", link.id, "ann@x", Micros(NOW + DAY))
        again = unshare(conn, shop.storefront, "offers", link.id, "ann@x", Micros(NOW + 2 * DAY))
    assert gone == again
    assert gone.state(NOW) == "revoked"
