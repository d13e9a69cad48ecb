"""Holdbacks know what they follow, reports have links for readers without an account, decisions keep their gist.

Revision: 0100, after 0070.
"""

import sqlalchemy as sa
from alembic import op

revision = "0100"
down_revision = "0070"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("experiment", sa.Column("follows", sa.Text(), nullable=True))
    op.add_column("decision", sa.Column("gist", sa.JSON(), nullable=True))
    op.create_table(
        "report_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("shows", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name=op.f("fk_report_link_experiment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_link")),
    )
    op.create_index(op.f("ix_report_link_experiment_id"), "report_link", ["experiment_id"], unique=False)


def downgrade() -> None:
    """Back."""
    op.drop_table("report_link")
    op.drop_column("decision", "gist")
    op.drop_column("experiment", "follows")
