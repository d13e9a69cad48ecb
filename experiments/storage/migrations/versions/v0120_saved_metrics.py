"""Metrics of a storefront's own, by versions.

Revision: 0120, after 0090.
"""

import sqlalchemy as sa
from alembic import op

revision = "0120"
down_revision = "0090"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "saved_metric",
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("saved_by", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["storefront_id"], ["storefront.id"], name=op.f("fk_saved_metric_storefront_id_storefront")
        ),
        sa.PrimaryKeyConstraint("storefront_id", "key", "version", name=op.f("pk_saved_metric")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("saved_metric")
