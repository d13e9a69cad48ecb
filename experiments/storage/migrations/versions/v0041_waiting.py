"""An index of refunds and cancellations whose order is not known yet: a new order asks for them.

Revision: 0041, after 0040.
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_WAITING = sa.text("type IN ('refund', 'order_cancelled') AND order_at IS NULL")


def upgrade() -> None:
    """Forward."""
    op.create_index(
        "ix_conversion_waiting",
        "conversion",
        ["storefront_id", "order_id"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_conversion_waiting", "conversion")
