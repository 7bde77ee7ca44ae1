# One image for every role: `tocsin run`, or `tocsin run --roles ingest,record`. compose.yaml uses it.
FROM python:3.13-slim

WORKDIR /app
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE config.toml ./
COPY hub hub
COPY bots bots
COPY plugins plugins
COPY charts charts
RUN pip install --no-cache-dir "setuptools>=80" && pip install --no-cache-dir --no-deps --no-build-isolation .

RUN useradd --create-home tocsin && install -d -o tocsin -g tocsin /data
USER tocsin
ENV TOCSIN_HUB__DATA=/data
VOLUME /data
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["tocsin", "status"]
ENTRYPOINT ["tocsin"]
CMD ["run"]
