from django.db import migrations

from audsync_web.trigrams import drop_index, index_names

NAME = "audit_by_part_of_name"


class Migration(migrations.Migration):
    dependencies = [("people", "0002_audit_indexes")]

    operations = [migrations.RunPython(index_names(NAME, "people_auditentry", "object_name"), drop_index(NAME))]
