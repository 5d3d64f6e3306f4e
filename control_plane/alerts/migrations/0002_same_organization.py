"""A delivery's channel is of the same organization: the second wall behind the queries."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_channels_crossings_deliveries")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE alerts_delivery ADD CONSTRAINT alerts_delivery_channel_id_same_organization "
            "FOREIGN KEY (organization_id, channel_id) REFERENCES alerts_alertchannel (organization_id, id) "
            "DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE alerts_delivery DROP CONSTRAINT alerts_delivery_channel_id_same_organization",
        ),
    ]
