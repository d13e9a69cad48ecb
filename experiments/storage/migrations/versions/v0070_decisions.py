"""Decisions: the report as it was when somebody decided by it.

Revision: 0070, after 0060.
"""

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "decision",
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("data_until", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name=op.f("fk_decision_experiment_id")),
        sa.PrimaryKeyConstraint("experiment_id", name=op.f("pk_decision")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("decision")
