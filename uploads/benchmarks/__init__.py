"""`manage.py bench`: whole paths, each beside a reference in the same run."""
