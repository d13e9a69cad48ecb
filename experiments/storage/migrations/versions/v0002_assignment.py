"""Layers, saved audiences, and how a storefront treats bots, consent, its holdout and a placement's kill switch.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "layer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_layer_storefront_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_layer")),
        sa.UniqueConstraint("storefront_id", "key", name=op.f("uq_layer_storefront_id_key")),
    )
    op.create_table(
        "audience",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_audience_storefront_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audience")),
        sa.UniqueConstraint("storefront_id", "key", name=op.f("uq_audience_storefront_id_key")),
    )
    op.add_column("storefront", sa.Column("bots", sa.Text(), nullable=False, server_default="crawlers"))
    op.add_column("storefront", sa.Column("consent", sa.Text(), nullable=False, server_default="not_needed"))
    op.add_column("storefront", sa.Column("honours_gpc", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("storefront", sa.Column("holdout", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("storefront", sa.Column("holdout_seed", sa.Text(), nullable=False, server_default=""))
    op.add_column("placement", sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE storefront SET holdout_seed = 'holdout/' || key")


def downgrade() -> None:
    """Back."""
    op.drop_column("placement", "paused")
    for name in ("holdout_seed", "holdout", "honours_gpc", "consent", "bots"):
        op.drop_column("storefront", name)
    op.drop_table("audience")
    op.drop_table("layer")
