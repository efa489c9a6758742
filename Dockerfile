# Two stages: the first turns the lock into an environment, the second only carries it.
FROM python:3.11-slim AS build
WORKDIR /app
COPY requirements.txt .
RUN python -m venv .venv \
 && .venv/bin/pip install --no-cache-dir --disable-pip-version-check \
    --require-hashes --only-binary :all: -r requirements.txt

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home turnpike \
 && mkdir /data && chown turnpike: /data
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY . .
# Everything that must outlive the container is in instance/: the SQLite file and the secret keys.
RUN ln -s /data instance && .venv/bin/python -m compileall -q -x '\.venv' .
USER turnpike
VOLUME /data
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/readyz\", timeout=2)"]
CMD ["sh", "-c", "flask db upgrade && exec gunicorn --config gunicorn.conf.py wsgi:application"]
