"""Quarantine, whose visitor is whose, currency rates; versions, cancellations and paid currency of orders.

Revision: 0010, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0002"
branch_labels = None
depends_on = None

_FIRST_LINKS = """
INSERT INTO visitor_customer (storefront_id, visitor_id, customer_id, at)
SELECT l.storefront_id, l.visitor_id, MIN(l.customer_id), l.at
FROM link l JOIN (SELECT storefront_id, visitor_id, MIN(at) AS at FROM link GROUP BY storefront_id, visitor_id) f
  ON f.storefront_id = l.storefront_id AND f.visitor_id = l.visitor_id AND f.at = l.at
GROUP BY l.storefront_id, l.visitor_id, l.at
"""


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "visitor_customer",
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("visitor_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_visitor_customer_storefront_id")),
        sa.PrimaryKeyConstraint("storefront_id", "visitor_id", name=op.f("pk_visitor_customer")),
    )
    op.create_index(
        op.f("ix_visitor_customer_storefront_id_customer_id"), "visitor_customer", ["storefront_id", "customer_id"]
    )
    op.execute(_FIRST_LINKS)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_quarantine_storefront_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("storefront_id", "digest", name=op.f("uq_quarantine_storefront_id_digest")),
    )
    op.create_index(op.f("ix_quarantine_storefront_id_id"), "quarantine", ["storefront_id", "id"])
    op.create_table(
        "currency_rate",
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("rate", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_currency_rate_storefront_id")),
        sa.PrimaryKeyConstraint("storefront_id", "currency", "day", name=op.f("pk_currency_rate")),
    )
    op.add_column("conversion", sa.Column("version", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("conversion", sa.Column("cancelled_at", sa.BigInteger()))
    op.add_column("conversion", sa.Column("paid_currency", sa.Text()))
    op.add_column("conversion", sa.Column("paid_amount", sa.BigInteger()))
    op.add_column("storefront", sa.Column("return_days", sa.Integer(), nullable=False, server_default="30"))


def downgrade() -> None:
    """Back."""
    op.drop_column("storefront", "return_days")
    for name in ("paid_amount", "paid_currency", "cancelled_at", "version"):
        op.drop_column("conversion", name)
    for table in ("currency_rate", "quarantine", "visitor_customer"):
        op.drop_table(table)
