from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def fill(apps: Any, schema_editor: Any) -> None:
    """Deliveries that are there take over what they repeat of their upload and destination."""
    upload = apps.get_model("uploads", "Upload").objects.filter(pk=OuterRef("upload_id"))
    destination = apps.get_model("segments", "Destination").objects.filter(pk=OuterRef("destination_id"))
    apps.get_model("uploads", "Delivery").objects.order_by().update(
        segment=Subquery(destination.values("segment_id")),
        vendor_account=Subquery(destination.values("vendor_account_id")),
        uploaded_by=Subquery(upload.values("uploaded_by_id")),
        uploaded_at=Subquery(upload.values("created_at")),
    )
    # PostgreSQL alters no table that has foreign keys left to check.
    schema_editor.connection.check_constraints()


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0001_initial"),
        ("segments", "0001_initial"),
        ("uploads", "0004_erased_marks"),
        ("vendors", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(model_name="delivery", name="delivery_by_status_time"),
        migrations.RemoveIndex(model_name="upload", name="upload_by_company"),
        migrations.RemoveIndex(model_name="upload", name="upload_by_status"),
        migrations.RemoveIndex(model_name="upload", name="upload_by_segment"),
        migrations.RemoveIndex(model_name="upload", name="upload_by_person"),
        migrations.AddField(
            model_name="delivery",
            name="segment",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="segments.segment",
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="vendor_account",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="vendors.vendoraccount",
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="uploaded_by",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="delivery", name="uploaded_at", field=models.DateTimeField(editable=False, null=True)
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="delivery",
            name="segment",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="segments.segment",
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="vendor_account",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="vendors.vendoraccount",
            ),
        ),
        migrations.AlterField(model_name="delivery", name="uploaded_at", field=models.DateTimeField(editable=False)),
    ]
