"""Suggestions for new and for returning customers, products most viewed and lately sold, and saved offers.

Revision: 0033, after 0032. What orders suggest is derived: it is worked out anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def _storefront(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f(f"fk_{table}_storefront_id")),
    ]


def _suggestions(*segment: str) -> None:
    op.create_table(
        "companion",
        *_storefront("companion"),
        *(sa.Column(name, sa.Text(), nullable=False) for name in segment),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("companion_id", sa.Text(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("support", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("lift", sa.Double(), nullable=False),
        sa.Column("p_value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("storefront_id", *segment, "product_id", "rank", name=op.f("pk_companion")),
    )
    op.create_table(
        "bestseller",
        *_storefront("bestseller"),
        *(sa.Column(name, sa.Text(), nullable=False) for name in segment),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("storefront_id", *segment, "rank", name=op.f("pk_bestseller")),
    )


def upgrade() -> None:
    """Forward."""
    op.drop_table("companion")
    op.drop_table("bestseller")
    _suggestions("segment")
    op.execute("UPDATE history SET at = 0, claimed_at = 0, last_id = 0, orders = 0")
    op.create_table(
        "product_view",
        *_storefront("product_view"),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("storefront_id", "product_id", "day", name=op.f("pk_product_view")),
    )
    op.create_table(
        "most_viewed",
        *_storefront("most_viewed"),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("storefront_id", "rank", name=op.f("pk_most_viewed")),
    )
    op.create_table(
        "lately_sold",
        *_storefront("lately_sold"),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("week", sa.Integer(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("quarter", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("storefront_id", "product_id", name=op.f("pk_lately_sold")),
    )
    op.create_table(
        "saved_offer",
        sa.Column("id", sa.Integer(), nullable=False),
        *_storefront("saved_offer"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_offer")),
        sa.UniqueConstraint("storefront_id", "key", name=op.f("uq_saved_offer_storefront_id_key")),
    )


def downgrade() -> None:
    """Back."""
    for table in ("saved_offer", "lately_sold", "most_viewed", "product_view", "bestseller", "companion"):
        op.drop_table(table)
    _suggestions()
    op.execute("UPDATE history SET at = 0, claimed_at = 0, last_id = 0, orders = 0")
