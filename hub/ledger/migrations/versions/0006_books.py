"""Each engine keeps the newest prices in a book of its own: engines that share stand at different places."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = "key, value, venue_time, received_at, source, live, stale_since, sides"


def upgrade() -> None:
    op.add_column("positions", sa.Column("book", sa.String(length=128), server_default="engine", nullable=False))
    op.create_table(
        "prices",
        sa.Column("book", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("venue_time", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("live", sa.Boolean(), server_default="1", nullable=False),
        sa.Column("stale_since", sa.BigInteger(), nullable=True),
        sa.Column("sides", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("book", "key", name=op.f("pk_prices")),
    )
    op.execute(f"INSERT INTO prices (book, {COLUMNS}) SELECT 'engine', {COLUMNS} FROM series")
    op.drop_table("series")
