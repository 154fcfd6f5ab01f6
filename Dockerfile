# coordi without torch: advice, the API and the page on a CPU, with the language model. docs/serving.md says how to run it.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
RUN python -m venv --without-pip /opt/coordi
WORKDIR /build
COPY requirements-light.lock ./
RUN pip --python /opt/coordi install --no-cache-dir --no-deps --require-hashes --requirement requirements-light.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip --python /opt/coordi install --no-cache-dir --no-deps .
# The language model's network is built in the cache now, so that a container writes nothing.
ENV COORDI_CACHE=/opt/coordi/cache
RUN /opt/coordi/bin/python -c "from coordi.model import scoring, trained; scoring.fill_cache(trained.BUNDLED)"

FROM python:${PYTHON}
COPY --from=build /opt/coordi /opt/coordi
ENV PATH=/opt/coordi/bin:$PATH \
    COORDI_CACHE=/opt/coordi/cache
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
# 401 is the answer to a request without the token.
HEALTHCHECK --start-period=60s --timeout=5s CMD ["python", "-c", "import sys; from http.client import HTTPConnection; \
connection = HTTPConnection('127.0.0.1', 8000, timeout=4); connection.request('GET', '/api/v1/health'); \
sys.exit(connection.getresponse().status not in (200, 401))"]
ENTRYPOINT ["coordi"]
CMD ["serve", "--host", "0.0.0.0"]
