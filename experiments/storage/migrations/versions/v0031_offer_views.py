"""How often a visitor met offers, by day, for frequency caps.

Revision: 0031, after 0030.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "offer_view",
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("visitor_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_offer_view_storefront_id")),
        sa.PrimaryKeyConstraint("storefront_id", "visitor_id", "day", name=op.f("pk_offer_view")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("offer_view")
