"""Connections know the keyring's entry, or the environment variable, that holds their password."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two names; the password itself is never stored."""
    for name in ("credential", "password_variable"):
        op.add_column("connections", sa.Column(name, sa.Text, nullable=False, server_default=""))
