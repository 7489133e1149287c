from django.db import migrations, models

STATUSES = [
    ("waiting", "Waiting"),
    ("doing", "Doing"),
    ("answered", "Answered"),
    ("done", "Done"),
    ("failed", "Failed"),
    ("left", "Left"),
]


class Migration(migrations.Migration):
    """Steps that a vendor has answered and does not show as done, and lines that tell what an erasure does not do."""

    dependencies = [("uploads", "0010_delivery_merged")]

    operations = [
        migrations.RemoveConstraint("erasurestep", "erasure_step_status_known"),
        migrations.AlterField(
            "erasurestep", "status", models.CharField(choices=STATUSES, default="waiting", max_length=8)
        ),
        migrations.AddConstraint(
            "erasurestep",
            models.CheckConstraint(
                condition=models.Q(("status__in", [key for key, _ in STATUSES])), name="erasure_step_status_known"
            ),
        ),
    ]
