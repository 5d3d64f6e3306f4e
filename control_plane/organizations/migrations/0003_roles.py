"""Six roles in place of two: the first admin of each organization becomes its owner."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_ROLES = ["owner", "admin", "finance", "auditor", "team_lead", "member"]


def make_owners(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    memberships = apps.get_model("organizations", "Membership")
    for organization in apps.get_model("organizations", "Organization").objects.all():
        rows = memberships.objects.filter(organization=organization, role="admin").order_by(
            "-user__is_active", "created_at", "id"
        )
        first = rows.first()
        if first is not None:
            memberships.objects.filter(id=first.id).update(role="owner")


def unmake_owners(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    memberships = apps.get_model("organizations", "Membership")
    memberships.objects.filter(role="owner").update(role="admin")
    memberships.objects.exclude(role="admin").update(role="member")


class Migration(migrations.Migration):
    dependencies = [("organizations", "0002_same_organization")]

    operations = [
        migrations.RemoveConstraint(model_name="membership", name="organizations_membership_role"),
        migrations.AlterField(
            model_name="membership",
            name="role",
            field=models.CharField(
                choices=[
                    ("owner", "Owner"),
                    ("admin", "Admin"),
                    ("finance", "Finance"),
                    ("auditor", "Auditor"),
                    ("team_lead", "team lead"),
                    ("member", "Member"),
                ],
                default="member",
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(role__in=_ROLES), name="organizations_membership_role"
            ),
        ),
        migrations.AddField("organization", "leads_may_set_budgets", models.BooleanField(default=False)),
        migrations.AddField("organization", "leads_may_mint_service_keys", models.BooleanField(default=False)),
        migrations.AddField("organization", "leads_may_add_members", models.BooleanField(default=False)),
        migrations.RunPython(make_owners, unmake_owners),
    ]
