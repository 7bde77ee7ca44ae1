"""What was given up is counted without a look at what was sent."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    dead = sa.text("state = 'dead'")
    op.create_index(
        "ix_notifications_dead", "notifications", ["id"], unique=False, sqlite_where=dead, postgresql_where=dead
    )
