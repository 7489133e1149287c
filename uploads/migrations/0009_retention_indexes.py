from django.db import migrations, models


class Migration(migrations.Migration):
    """What retention still has to look at, and what a vendor was sent of late, however long the history is."""

    dependencies = [("uploads", "0008_uncertain_outcomes")]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("changes_file", ""), _negated=True),
                fields=["uploaded_at"],
                name="delivery_with_changes",
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                condition=models.Q(("report_gone_at__isnull", True)), fields=["created_at"], name="upload_with_report"
            ),
        ),
        migrations.AddIndex(
            model_name="part",
            index=models.Index(fields=["quota_scope", "sent_at"], name="part_sent_in_scope"),
        ),
    ]
