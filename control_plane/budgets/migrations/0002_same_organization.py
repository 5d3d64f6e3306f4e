"""References stay inside an organization: the second wall behind the queries."""

from django.db import migrations


def same_organization(table: str, column: str, other: str) -> migrations.RunSQL:
    """Add a reference to (organization, id) of another table, beside the plain one that Django made."""
    name = f"{table}_{column}_same_organization"
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (organization_id, {column}) "
        f"REFERENCES {other} (organization_id, id) DEFERRABLE INITIALLY DEFERRED",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0001_initial"),
        ("organizations", "0002_same_organization"),
    ]
    operations = [
        same_organization("budgets_budget", "team_id", "organizations_team"),
        same_organization("budgets_budgetraise", "budget_id", "budgets_budget"),
        same_organization("budgets_budgetrequest", "budget_id", "budgets_budget"),
        same_organization("budgets_budgetrequest", "granted_id", "budgets_budgetraise"),
    ]
