"""Reviews before the start: their steps, and which storefronts demand them of whom.

Revision: 0111, after 0120.
"""

import sqlalchemy as sa
from alembic import op

revision = "0111"
down_revision = "0120"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "review",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("storefront_id", sa.Integer(), nullable=False),
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["storefront_id"], ["storefront.id"], name=op.f("fk_review_storefront_id")),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name=op.f("fk_review_experiment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_experiment_id"), "review", ["experiment_id"])
    op.add_column("storefront", sa.Column("review_required", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("storefront", sa.Column("reviewers", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))


def downgrade() -> None:
    """Back."""
    op.drop_column("storefront", "reviewers")
    op.drop_column("storefront", "review_required")
    op.drop_table("review")
