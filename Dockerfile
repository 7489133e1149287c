# AudSync in a container: web, worker and scheduler as one process tree, data under /data.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 AUDSYNC_DATA_DIR=/data
RUN useradd --create-home --uid 10001 audsync && install -d -o audsync -m 0700 /data
WORKDIR /srv/audsync
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY manage.py ./
COPY audsync_web audsync_web
COPY segments segments
COPY uploads uploads
COPY templates templates
COPY static static
USER audsync
VOLUME /data
EXPOSE 8000
CMD ["python", "manage.py", "up", "--host", "0.0.0.0"]
