from django.db import migrations, models


class Migration(migrations.Migration):
    """Members of a file that equal others in the form that a destination is sent."""

    dependencies = [("uploads", "0009_retention_indexes")]

    operations = [migrations.AddField("delivery", "merged", models.BigIntegerField(default=0))]
