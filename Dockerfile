# syntax=docker/dockerfile:1
# SPDX-License-Identifier: MIT
# Two images of the program on a base of Debian 12:
#   docker build --target shell --tag sluice:0.1.0 .         with the base's shell and tools
#   docker build --target bare --tag sluice:0.1.0-bare .     the program, what it loads, certificates: nothing else
# Both run as user 10001, write only below /var/lib/sluice and do without the rest of the file system being writable.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /source
COPY . .
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && scripts/setup build
RUN cmake -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr -DSLUICE_TESTS=OFF \
        -DSLUICE_BENCHMARKS=OFF -DSLUICE_EXAMPLES=OFF \
    && ninja -C /build sluice_program sluice_written \
    && DESTDIR=/installed cmake --install /build --component program --strip \
    && scripts/image-files /installed/usr/bin/sluice /bare

FROM ${BASE} AS shell
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libuv1 libc-ares2 libsimdjson14 libyaml-0-2 \
        libsqlite3-0 libzstd1 libpq5 librdkafka1 libssl3 zlib1g libbrotli1 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
COPY --from=build /installed/ /
RUN install -d -o 10001 -g 10001 -m 0750 /var/lib/sluice
WORKDIR /var/lib/sluice
USER 10001:10001
VOLUME /var/lib/sluice
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["sluice", "health"]
ENTRYPOINT ["sluice"]
CMD ["run", "/etc/sluice/sluice.yaml"]

FROM scratch AS bare
COPY --from=build /bare/ /
COPY --from=build /installed/ /
COPY --from=shell --chown=10001:10001 /var/lib/sluice /var/lib/sluice
WORKDIR /var/lib/sluice
USER 10001:10001
VOLUME /var/lib/sluice
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/usr/bin/sluice", "health"]
ENTRYPOINT ["/usr/bin/sluice"]
CMD ["run", "/etc/sluice/sluice.yaml"]
