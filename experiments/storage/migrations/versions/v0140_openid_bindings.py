"""Which account of an OpenID provider is whose.

Revision: 0140, after 0111.
"""

import sqlalchemy as sa
from alembic import op

revision = "0140"
down_revision = "0111"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "openid_binding",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("bound_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_openid_binding_user_id_users")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_openid_binding")),
        sa.UniqueConstraint("user_id", "issuer", name=op.f("uq_openid_binding_user_id_issuer")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("openid_binding")
