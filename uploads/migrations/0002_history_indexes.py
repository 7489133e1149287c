from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0001_initial"),
        ("segments", "0001_initial"),
        ("uploads", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["company", "-created_at", "-id"], name="delivery_by_time"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["company", "status", "-created_at", "-id"], name="delivery_by_status_time"),
        ),
        migrations.AddIndex(
            model_name="part",
            index=models.Index(fields=["job_id"], name="part_by_job"),
        ),
    ]
