"""What was billed by the dearest price that was known, because the model had none."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from psycopg import sql

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """A model without a price, and what it was billed since."""

    vendor: str
    model: str
    requests: int
    cost_nano_usd: int
    price_version: str
    """The price that stood in, the last time."""
    last_at: datetime


def models_without_price(organization_id: UUID, since: datetime) -> list[UnpricedModel]:
    """Models that were billed by another one's price, the dearest first. An index of its own holds these rows."""
    statement = sql.SQL(
        "SELECT vendor, model, sum(CASE WHEN kind = 'reversal' THEN -1 ELSE 1 END)::bigint AS requests,"
        " sum(cost_nano_usd)::bigint AS cost, (array_agg(price_version ORDER BY started_at DESC))[1],"
        " max(started_at) FROM usage_ledger"
        " WHERE organization_id = {} AND price_note <> '' AND started_at >= {} AND day >= {}"
        " GROUP BY vendor, model HAVING sum(CASE WHEN kind = 'reversal' THEN -1 ELSE 1 END) > 0"
        " ORDER BY cost DESC, vendor, model LIMIT {}"
    ).format(
        sql.Literal(organization_id),
        sql.Literal(since),
        sql.Literal((since - timedelta(days=1)).date()),
        sql.Literal(MOST_SHOWN),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [UnpricedModel(*row) for row in cursor.fetchall()]
