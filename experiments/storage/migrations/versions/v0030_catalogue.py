"""What past orders suggest, and the versions of products.

Revision: 0030, after 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0020"
branch_labels = None
depends_on = None


def _storefront(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f(f"fk_{table}_storefront_id")),
    ]


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "history",
        *_storefront("history"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("storefront_id", name=op.f("pk_history")),
    )
    op.create_table(
        "companion",
        *_storefront("companion"),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("companion_id", sa.Text(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("support", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("lift", sa.Double(), nullable=False),
        sa.Column("p_value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("storefront_id", "product_id", "rank", name=op.f("pk_companion")),
    )
    op.create_table(
        "bestseller",
        *_storefront("bestseller"),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("storefront_id", "rank", name=op.f("pk_bestseller")),
    )
    op.create_table(
        "product_version",
        *_storefront("product_version"),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("compare_at", sa.BigInteger()),
        sa.Column("cost", sa.BigInteger()),
        sa.PrimaryKeyConstraint("storefront_id", "product_id", "at", name=op.f("pk_product_version")),
    )
    op.execute(
        "INSERT INTO product_version (storefront_id, product_id, at, title, category, price, compare_at, cost) "
        "SELECT storefront_id, product_id, updated_at, title, category, price, compare_at, cost FROM product"
    )


def downgrade() -> None:
    """Back."""
    for table in ("product_version", "bestseller", "companion", "history"):
        op.drop_table(table)
