"""Alerts: what the watch told, where it is sent, the outbox, and who watches.

Revision: 0090, after 0110.
"""

import sqlalchemy as sa
from alembic import op

revision = "0090"
down_revision = "0110"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "alert",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.Column("acted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_alert_storefront_id")),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name=op.f("fk_alert_experiment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index(op.f("ix_alert_storefront_id_id"), "alert", ["storefront_id", "id"])
    still = sa.text("cleared_at IS NULL")
    op.create_index(
        "uq_alert_open", "alert", ["experiment_id", "kind", "about"], unique=True,
        sqlite_where=still, postgresql_where=still,
    )  # fmt: skip
    op.create_table(
        "alert_setting",
        sa.Column("storefront_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("webhook_secret", sa.Text(), nullable=True),
        sa.Column("emails", sa.JSON(), nullable=False),
        sa.Column("tells_people", sa.Boolean(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_alert_setting_storefront_id")),
        sa.PrimaryKeyConstraint("storefront_id", name=op.f("pk_alert_setting")),
    )
    _outbox()
    op.create_table(
        "watched",
        sa.Column("experiment_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name=op.f("fk_watched_experiment_id")),
        sa.PrimaryKeyConstraint("experiment_id", name=op.f("pk_watched")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )


def _outbox() -> None:
    op.create_table(
        "alert_delivery",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("alert_id", BIG_ID, nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_alert_delivery_storefront_id")),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_alert_delivery_alert_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_delivery")),
    )
    op.create_index(op.f("ix_alert_delivery_state_due_at"), "alert_delivery", ["state", "due_at"])
    op.create_index(op.f("ix_alert_delivery_storefront_id_id"), "alert_delivery", ["storefront_id", "id"])


def downgrade() -> None:
    """Back."""
    for name in ("lease", "watched", "alert_delivery", "alert_setting", "alert"):
        op.drop_table(name)
