"""The code that speaks each vendor's API. No ORM, no Celery, no HttpRequest: configuration arrives as arguments."""
