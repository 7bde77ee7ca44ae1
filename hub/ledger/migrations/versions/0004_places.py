"""Groups and channels that own their alerts, codes that join identities, quiet hours."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("alerts", sa.Column("muted_until", sa.BigInteger(), nullable=True))
    op.add_column("users", sa.Column("quiet", sa.String(length=16), server_default="", nullable=False))
    op.add_column("identities", sa.Column("address", sa.Text(), server_default="", nullable=False))
    op.create_index(op.f("ix_identities_user_id"), "identities", ["user_id"], unique=False)
    op.execute("UPDATE users SET language = ''")  # nobody could say theirs before
    op.create_table(
        "places",
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("owner_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("who_may", sa.String(length=16), server_default="admins", nullable=False),
        sa.Column("detect", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_places_owner_id_owners")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_places_user_id_users")),
        sa.PrimaryKeyConstraint("platform", "external_id", name=op.f("pk_places")),
    )
    op.create_table(
        "codes",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_codes_user_id_users")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_codes")),
    )
    op.create_index(op.f("ix_codes_user_id"), "codes", ["user_id"], unique=False)
