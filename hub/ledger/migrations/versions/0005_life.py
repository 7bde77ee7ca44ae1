"""The whole life of an alert: its memory, blindness, splits of stocks, evidence of any series."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("alerts", sa.Column("memory", sa.Text(), nullable=True))
    op.add_column("alerts", sa.Column("cost", sa.Integer(), server_default="1", nullable=False))
    for name in ("dwell_since", "peak", "anchor"):
        op.drop_column("alerts", name)
    op.add_column("triggers", sa.Column("title", sa.Text(), server_default="", nullable=False))
    op.add_column("triggers", sa.Column("detail", sa.Text(), server_default="", nullable=False))
    op.add_column("triggers", sa.Column("rang_at", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_triggers_rang_at"), "triggers", ["rang_at"], unique=False)
    op.add_column("series", sa.Column("live", sa.Boolean(), server_default="1", nullable=False))
    op.add_column("series", sa.Column("stale_since", sa.BigInteger(), nullable=True))
    op.add_column("series", sa.Column("sides", sa.Text(), nullable=True))
    op.add_column("notifications", sa.Column("held_until", sa.BigInteger(), nullable=True))
    held = sa.text("state = 'held'")
    op.create_index(
        "ix_notifications_held", "notifications", ["due_at"], sqlite_where=held, postgresql_where=held, unique=False
    )
    op.create_index(op.f("ix_users_owner_id"), "users", ["owner_id"], unique=False)
    op.create_table(
        "splits",
        sa.Column("id", KEY, nullable=False),
        sa.Column("instrument", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("numerator", sa.Integer(), nullable=False),
        sa.Column("denominator", sa.Integer(), nullable=False),
        sa.Column("told_by", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_splits")),
        sa.UniqueConstraint("instrument", "day", name=op.f("uq_splits_instrument")),
    )
    op.create_table(
        "split_marks",
        sa.Column("reader", sa.String(length=64), nullable=False),
        sa.Column("split_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["split_id"], ["splits.id"], name=op.f("fk_split_marks_split_id_splits")),
        sa.PrimaryKeyConstraint("reader", "split_id", name=op.f("pk_split_marks")),
    )
    op.create_table(
        "gaps",
        sa.Column("id", KEY, nullable=False),
        sa.Column("owner_id", KEY, nullable=False),
        sa.Column("instrument", sa.String(length=64), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("told", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_gaps_owner_id_owners")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gaps")),
    )
    op.create_index(op.f("ix_gaps_looked_at"), "gaps", ["looked_at"], unique=False)
    op.create_index(op.f("ix_gaps_owner_id"), "gaps", ["owner_id"], unique=False)
