"""What was known of a unit when it entered: device, category, value of the cart, attributes that the plan names.

Revision: 0130, after 0140.
"""

import sqlalchemy as sa
from alembic import op

revision = "0130"
down_revision = "0140"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    for name, kind in (
        ("device", sa.Text()),
        ("category", sa.Text()),
        ("cart", sa.BigInteger()),
        ("attributes", sa.Text()),
    ):
        op.add_column("exposure", sa.Column(name, kind))


def downgrade() -> None:
    """Back."""
    for name in ("attributes", "cart", "category", "device"):
        op.drop_column("exposure", name)
