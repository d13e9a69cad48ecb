"""Wrong passwords of late: counted where all workers see them.

Revision: 0110, after 0100.
"""

import sqlalchemy as sa
from alembic import op

revision = "0110"
down_revision = "0100"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "guess",
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("who", name=op.f("pk_guess")),
    )
    op.create_index(op.f("ix_guess_until"), "guess", ["until"])


def downgrade() -> None:
    """Back."""
    op.drop_table("guess")
