from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0001_initial"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="auditentry",
            name="audit_by_company",
        ),
        migrations.RemoveIndex(
            model_name="auditentry",
            name="audit_by_action",
        ),
        migrations.RemoveIndex(
            model_name="auditentry",
            name="audit_by_user",
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["company", "-at", "-id"], name="audit_by_company"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["company", "object_name", "id"], name="audit_by_name"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["company", "action", "-at", "-id"], name="audit_by_action"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["company", "user", "-at", "-id"], name="audit_by_user"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["company", "object_id", "-id"], name="audit_by_object_id"),
        ),
    ]
