"""Webhooks: the secrets that sign them, and an inbox where each delivery lands before it is read.

Revision: 0020, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "webhook_secret",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_until", sa.BigInteger()),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_webhook_secret_storefront_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secret")),
    )
    op.create_index(op.f("ix_webhook_secret_storefront_id_source"), "webhook_secret", ["storefront_id", "source"])
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_webhook_delivery_storefront_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
        sa.UniqueConstraint(
            "storefront_id", "source", "delivery_id", name=op.f("uq_webhook_delivery_storefront_id_source_delivery_id")
        ),
    )
    op.create_index(op.f("ix_webhook_delivery_storefront_id_state"), "webhook_delivery", ["storefront_id", "state"])


def downgrade() -> None:
    """Back."""
    op.drop_table("webhook_delivery")
    op.drop_table("webhook_secret")
