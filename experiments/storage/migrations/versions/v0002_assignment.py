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
    with op.batch_alter_table("storefront", schema=None) as batch_op:
        batch_op.add_column(sa.Column("bots", sa.Text(), nullable=False, server_default="crawlers"))
        batch_op.add_column(sa.Column("consent", sa.Text(), nullable=False, server_default="not_needed"))
        batch_op.add_column(sa.Column("honours_gpc", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("holdout", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("holdout_seed", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("placement", schema=None) as batch_op:
        batch_op.add_column(sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE storefront SET holdout_seed = 'holdout/' || key")


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("placement", schema=None) as batch_op:
        batch_op.drop_column("paused")
    with op.batch_alter_table("storefront", schema=None) as batch_op:
        for name in ("holdout_seed", "holdout", "honours_gpc", "consent", "bots"):
            batch_op.drop_column(name)
    op.drop_table("audience")
    op.drop_table("layer")
