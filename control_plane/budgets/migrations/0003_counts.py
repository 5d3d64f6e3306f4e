"""A budget says whose money it counts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("budgets", "0002_same_organization")]

    operations = [
        migrations.AddField(
            model_name="budget",
            name="counts",
            field=models.CharField(
                choices=[
                    ("paid", "What the organization pays"),
                    ("shadow", "What callers' own subscriptions would cost by the list"),
                    ("both", "Both"),
                ],
                default="paid",
                max_length=8,
            ),
        ),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.CheckConstraint(
                condition=models.Q(("counts__in", ["paid", "shadow", "both"])), name="budgets_budget_counts"
            ),
        ),
    ]
