from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0001_initial"),
        ("segments", "0001_initial"),
        ("uploads", "0005_history_columns"),
        ("vendors", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="delivery",
            name="delivery_by_time",
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["company", "-created_at", "-id", "accepted", "refused"], name="delivery_by_time"
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["company", "status", "-created_at", "-id", "vendor_account", "segment", "uploaded_by"],
                name="delivery_by_status_time",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["company", "vendor_account", "-created_at", "-id", "status", "segment", "uploaded_by"],
                name="delivery_by_account",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["company", "segment", "-created_at", "-id", "status", "vendor_account", "uploaded_by"],
                name="delivery_by_segment",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["company", "uploaded_by", "-created_at", "-id", "status", "vendor_account", "segment"],
                name="delivery_by_person",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("retry_of__isnull", True)),
                fields=["company", "vendor_account", "-uploaded_at", "-upload", "segment", "uploaded_by"],
                name="delivery_by_upload_time",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("status", "needs attention")),
                fields=["company", "-updated_at"],
                name="delivery_concern",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["vendor_account", "status"], name="delivery_account_status"),
        ),
        migrations.AddIndex(
            model_name="snapshot",
            index=models.Index(
                fields=["destination", "superseded_at", "created_at", "members"], name="snapshot_by_end"
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                fields=["company", "-created_at", "-id", "status", "segment", "uploaded_by"],
                name="upload_by_company",
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                fields=["company", "status", "-created_at", "-id", "segment", "uploaded_by"], name="upload_by_status"
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                fields=["segment", "-created_at", "-id", "company", "status", "uploaded_by"], name="upload_by_segment"
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                fields=["company", "uploaded_by", "-created_at", "-id", "status", "segment"], name="upload_by_person"
            ),
        ),
        migrations.AddIndex(
            model_name="upload", index=models.Index(fields=["company", "file_name", "id"], name="upload_by_name")
        ),
    ]
