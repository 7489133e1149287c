from django.db import migrations

from audsync_web.trigrams import drop_index, index_names

NAME = "upload_by_part_of_name"


class Migration(migrations.Migration):
    dependencies = [("uploads", "0006_history_indexes_again")]

    operations = [migrations.RunPython(index_names(NAME, "uploads_upload", "file_name"), drop_index(NAME))]
