"""The tables. Time is BIGINT microseconds since 1970, `day` the storefront's calendar day; money is minor units.

`exposure` is what the report counts: one row per (experiment, kind, unit), the first one wins. `conversion` is what
units did: a repeat has the same (storefront, event_key) and is no second row.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)

BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER


def _storefront_id() -> Column[int]:
    return Column("storefront_id", Integer, ForeignKey("storefront.id"), nullable=False)


revision = Table(
    "revision",  # one row: a number that grows with every change that an assignment could notice
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

storefront = Table(
    "storefront",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("origins", JSON, nullable=False),
    Column(
        "products_at", BigInteger, nullable=False
    ),  # the catalogue's last change: who has this one need not read it again
    Column("created_at", BigInteger, nullable=False),
    Column("bots", Text, nullable=False, server_default="crawlers"),
    Column("consent", Text, nullable=False, server_default="not_needed"),
    Column("honours_gpc", Boolean, nullable=False, server_default=false()),
    Column("holdout", Integer, nullable=False, server_default="0"),  # hundredths of a percent
    Column("holdout_seed", Text, nullable=False, server_default=""),
    Column("return_days", Integer, nullable=False, server_default="30"),  # after which an order counts as kept
    Column("retention_days", Integer),  # after which what is known about people goes; NULL: it stays
    Column("review_required", Boolean, nullable=False, server_default=false()),
    Column("reviewers", JSON, nullable=False, server_default=text("'[]'")),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Integer, primary_key=True),
    _storefront_id(),
    Column("kind", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256: the key itself is 192 random bits, and not kept
    Column("hint", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    Column("created_at", BigInteger, nullable=False),
)

login_link = Table(
    "login_link",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

openid_binding = Table(
    "openid_binding",  # which account of a provider is whose: an address there may change, and be given to another
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id"), nullable=False),
    Column("bound_at", BigInteger, nullable=False),
    UniqueConstraint("user_id", "issuer"),
)

guess = Table(
    "guess",  # wrong passwords of late: by a digest of what they have in common, when that counts nothing any more
    metadata,
    Column("who", Text, primary_key=True),
    Column("until", BigInteger, nullable=False, index=True),
)

placement = Table(
    "placement",
    metadata,
    Column("id", Integer, primary_key=True),
    _storefront_id(),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("touchpoint", Text),  # NULL: named by an experiment before anybody said where it is
    Column("created_at", BigInteger, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("storefront_id", "key"),
)

product = Table(
    "product",
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("product_id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("compare_at", BigInteger),
    Column("cost", BigInteger),
    Column("stock", Integer),
    Column("url", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

experiment = Table(
    "experiment",
    metadata,
    Column("id", Integer, primary_key=True),
    _storefront_id(),
    Column("key", Text, nullable=False),
    Column("placement", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("seed", Text, nullable=False),
    Column("definition", JSON, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("stopped_at", BigInteger),
    Column("decided_at", BigInteger),
    Column("decision", JSON),
    Column("follows", Text),  # of a holdback: the key of the experiment whose winner it goes on measuring
    UniqueConstraint("storefront_id", "key"),
)

draft = Table(
    "draft",  # what was typed and does not hold yet; `experiment` is the one whose next version it is, NULL a new one
    metadata,
    Column("id", Integer, primary_key=True),
    _storefront_id(),
    Column("experiment", Text),
    Column("title", Text, nullable=False),
    Column("form", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("saved_by", Text, nullable=False),
    Column("saved_at", BigInteger, nullable=False),
    UniqueConstraint("storefront_id", "experiment"),
)

review = Table(
    "review",  # a step of a review, with the definition that it was about; only ever added to
    metadata,
    Column("id", Integer, primary_key=True),
    _storefront_id(),
    Column("experiment_id", Integer, ForeignKey("experiment.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("definition", JSON, nullable=False),
)

decision = Table(
    "decision",  # the report that an experiment was decided by, as it was then
    metadata,
    Column("experiment_id", Integer, ForeignKey("experiment.id"), primary_key=True),
    Column("decided_at", BigInteger, nullable=False),
    Column("data_until", BigInteger, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("report", JSON, nullable=False),
    Column("gist", JSON),  # what the library of learnings shows of it; NULL: kept before there was one
)

report_link = Table(
    "report_link",  # an address by which somebody without an account reads one report; the address itself is signed
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment_id", Integer, ForeignKey("experiment.id"), nullable=False),
    Column("shows", Text, nullable=False),  # the report as it is now, or as it was at the decision
    Column("made_by", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("seen_at", BigInteger),
    Column("revoked_at", BigInteger),
)
Index("ix_report_link_experiment_id", report_link.c.experiment_id)

layer = Table(
    "layer",
    metadata,
    Column("id", Integer, primary_key=True),
    _storefront_id(),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("seed", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("storefront_id", "key"),
)

audience = Table(
    "audience",
    metadata,
    Column("id", Integer, primary_key=True),
    _storefront_id(),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("definition", JSON, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("storefront_id", "key"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigId, primary_key=True),
    _storefront_id(),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    Index(None, "storefront_id", "subject"),
)

exposure = Table(
    "exposure",
    metadata,
    Column("experiment_id", Integer, ForeignKey("experiment.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("unit_id", Text, primary_key=True),
    Column("variant", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("device", Text),  # these four: what was known of the unit when it entered, NULL where nobody told
    Column("category", Text),
    Column("cart", BigInteger),
    Column("attributes", Text),  # JSON
    sqlite_with_rowid=False,
)

crossover = Table(
    "crossover",
    metadata,
    Column("experiment_id", Integer, ForeignKey("experiment.id"), primary_key=True),
    Column("unit_id", Text, primary_key=True),
    Column("variant", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

conversion = Table(
    "conversion",
    metadata,
    Column("id", BigId, primary_key=True),
    _storefront_id(),
    Column("event_key", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("visitor_id", Text),
    Column("customer_id", Text),
    Column("order_id", Text),
    Column("order_at", BigInteger),  # of a refund: when its order was placed; NULL until that order is known
    Column("currency", Text),
    Column("revenue", BigInteger),
    Column("discount", BigInteger),
    Column("shipping", BigInteger),
    Column("tax", BigInteger),
    Column("cost", BigInteger),
    Column("refunded", BigInteger),
    Column("item_count", Integer, nullable=False),
    Column("value", Double),
    Column("experiment", Text),
    Column("variant", Text),
    Column("offer_id", Text),
    Column("version", BigInteger, nullable=False, server_default="0"),  # of an order: an edit has a higher one
    Column("cancelled_at", BigInteger),  # of an order and its refunds
    Column("paid_currency", Text),  # where it was another than the storefront's: what was paid, before conversion
    Column("paid_amount", BigInteger),
    UniqueConstraint("storefront_id", "event_key"),
    Index(None, "storefront_id", "at"),
)
Index(
    "ix_conversion_refund",
    conversion.c.storefront_id,
    conversion.c.order_id,
    sqlite_where=conversion.c.type == "refund",
    postgresql_where=conversion.c.type == "refund",
)

WAITING = "type IN ('refund', 'order_cancelled') AND order_at IS NULL"
"""Of a conversion whose order is not known yet; written alike everywhere, or no database would know its index again."""
Index(
    "ix_conversion_waiting",
    conversion.c.storefront_id,
    conversion.c.order_id,
    sqlite_where=text(WAITING),
    postgresql_where=text(WAITING),
)

order_line = Table(
    "order_line",
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("product_id", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("cost", BigInteger),
    Column("offer", Text),
)

link = Table(
    "link",
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("visitor_id", Text, primary_key=True),
    Column("customer_id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index(None, "storefront_id", "customer_id"),
)

visitor_customer = Table(
    "visitor_customer",  # whose visitor it is: the customer of the first link; later links change nothing
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("visitor_id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "storefront_id", "customer_id"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigId, primary_key=True),
    _storefront_id(),
    Column("digest", Text, nullable=False),  # of source and body: a refused event that comes again is counted
    Column("source", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),  # of the whole body; more than is kept means that it was cut off
    Column("count", Integer, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    UniqueConstraint("storefront_id", "digest"),
    Index(None, "storefront_id", "id"),
)

currency_rate = Table(
    "currency_rate",
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("rate", Text, nullable=False),  # a decimal: of the storefront's currency for one of this
)

webhook_secret = Table(
    "webhook_secret",  # sealed, not digested: a signature can only be checked with the secret itself
    metadata,
    Column("id", Integer, primary_key=True),
    _storefront_id(),
    Column("source", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("sealed", Boolean, nullable=False, server_default=false()),  # false: from before secrets were sealed
    Column("created_at", BigInteger, nullable=False),
    Column("accepted_until", BigInteger),  # of a secret that was rotated away; NULL: the present one
    Index(None, "storefront_id", "source"),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("id", BigId, primary_key=True),
    _storefront_id(),
    Column("source", Text, nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("storefront_id", "source", "delivery_id"),
    Index(None, "storefront_id", "state"),
)

history = Table(
    "history",  # when what past orders suggest was last worked out, from how many orders, the newest of them which
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("claimed_at", BigInteger, nullable=False),  # a process has begun to work it out again
    Column("last_id", BigInteger, nullable=False),
    Column("orders", Integer, nullable=False),
)

companion = Table(
    "companion",
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("segment", Text, primary_key=True),  # new or returning customers; empty: everybody
    Column("product_id", Text, primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("companion_id", Text, nullable=False),
    Column("orders", Integer, nullable=False),
    Column("support", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("lift", Double, nullable=False),
    Column("p_value", Double, nullable=False),
)

bestseller = Table(
    "bestseller",
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("segment", Text, primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("product_id", Text, nullable=False),
    Column("orders", Integer, nullable=False),
)

product_view = Table(
    "product_view",  # page views of products by day, counted as they come
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("product_id", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("views", Integer, nullable=False),
)

most_viewed = Table(
    "most_viewed",
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("product_id", Text, nullable=False),
    Column("views", Integer, nullable=False),
)

lately_sold = Table(
    "lately_sold",  # orders with a product in the 7, 30 and 90 days before the history was worked out
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("product_id", Text, primary_key=True),
    Column("week", Integer, nullable=False),
    Column("month", Integer, nullable=False),
    Column("quarter", Integer, nullable=False),
)

saved_offer = Table(
    "saved_offer",
    metadata,
    Column("id", Integer, primary_key=True),
    _storefront_id(),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("definition", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("storefront_id", "key"),
)

saved_metric = Table(
    "saved_metric",  # a row for each version: the last one is what a definition takes when it is saved
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("definition", JSON, nullable=False),
    Column("saved_by", Text, nullable=False),
    Column("saved_at", BigInteger, nullable=False),
)

product_version = Table(
    "product_version",  # what a product was called and cost from when on: the newest one is the product's own
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("product_id", Text, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("title", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("compare_at", BigInteger),
    Column("cost", BigInteger),
)

offer_view = Table(
    "offer_view",  # how often a visitor met an offer, or would have: counted while any experiment has a frequency cap
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True),
    Column("visitor_id", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("views", Integer, nullable=False),
)

alert = Table(
    "alert",  # what the watch told of an experiment; a condition has one that is not cleared, whoever saw it
    metadata,
    Column("id", BigId, primary_key=True),
    _storefront_id(),
    Column("experiment_id", Integer, ForeignKey("experiment.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("cleared_at", BigInteger),
    Column("acted_at", BigInteger),  # when it made the experiment pause: it does so once
    Index(None, "storefront_id", "id"),
)
Index(
    "uq_alert_open",
    alert.c.experiment_id,
    alert.c.kind,
    alert.c.about,
    unique=True,
    sqlite_where=alert.c.cleared_at.is_(None),
    postgresql_where=alert.c.cleared_at.is_(None),
)

alert_setting = Table(
    "alert_setting",  # where a storefront's alerts go; the address of the webhook is as secret as its key
    metadata,
    Column("storefront_id", Integer, ForeignKey("storefront.id"), primary_key=True, autoincrement=False),
    Column("webhook_url", Text),  # sealed
    Column("webhook_secret", Text),  # sealed
    Column("emails", JSON, nullable=False),
    Column("tells_people", Boolean, nullable=False),
    Column("kinds", JSON, nullable=False),
)

alert_delivery = Table(
    "alert_delivery",  # the outbox: written with the alert, sent by whoever claims it, tried again until it is given up
    metadata,
    Column("id", BigId, primary_key=True),
    _storefront_id(),
    Column("alert_id", BigId, ForeignKey("alert.id")),  # NULL: a test
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("error", Text, nullable=False),
    Index(None, "state", "due_at"),
    Index(None, "storefront_id", "id"),
)

watched = Table(
    "watched",  # when an experiment was last looked at, and by which data
    metadata,
    Column("experiment_id", Integer, ForeignKey("experiment.id"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("mark", Text, nullable=False),
)

lease = Table(
    "lease",  # who does what only one process should, until when
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

ineligible = Table(
    "ineligible",  # units that asked where a variant could not be shown: their first refusal, whatever came later
    metadata,
    Column("experiment_id", Integer, ForeignKey("experiment.id"), primary_key=True),
    Column("unit_id", Text, primary_key=True),
    Column("variant", Text, nullable=False),  # the one that the unit would have got
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
