"""Secrets of webhooks are sealed, and a storefront says how long it keeps what it knows about people.

Revision: 0040, after 0033. What lies open is sealed by `offerlab upgrade`, which knows the key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("webhook_secret", sa.Column("sealed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("storefront", sa.Column("retention_days", sa.Integer()))


def downgrade() -> None:
    """Back. A sealed secret cannot be read by what was before: set it anew."""
    op.execute("DELETE FROM webhook_secret WHERE sealed")
    op.drop_column("webhook_secret", "sealed")
    op.drop_column("storefront", "retention_days")
