# Two images: `sqlsentinel` runs the daemon, `lambda` is the functions on AWS's base image.
#
#   docker build --target sqlsentinel -t sqlsentinel .
#   docker build --target lambda -t sqlsentinel-lambda .
#
# The bases are arguments, for registries of your own. It needs no BuildKit; for another
# architecture give --platform with BuildKit, or --build-arg TARGETARCH=arm64 without.
ARG GO_IMAGE=golang:1.26-bookworm
ARG LAMBDA_IMAGE=public.ecr.aws/lambda/provided:al2023

# --- the programs of both, for the architecture of the target, built on that of the builder

FROM --platform=${BUILDPLATFORM:-linux/amd64} ${GO_IMAGE} AS build
WORKDIR /src
# Other places than the defaults, for networks without the public ones.
ARG GOPROXY
ARG GOSUMDB
ENV CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false" GOTOOLCHAIN=local
COPY go.mod go.sum ./
COPY shared shared
COPY functions functions
COPY samples samples
COPY cmd cmd
ARG TARGETARCH
ARG VERSION=dev
RUN export GOARCH=${TARGETARCH} GOCACHE=/tmp/cache GOMODCACHE=/tmp/modules GOFLAGS="$GOFLAGS -modcacherw" && \
    go build -tags minicore_disabled -ldflags "-s -w -X main.version=${VERSION}" -o /out/sqlsentinel ./cmd/sqlsentinel && \
    for name in query sync email slack webhook; do \
      go build -tags lambda.norpc,minicore_disabled -ldflags "-s -w" -o /out/functions/$name ./functions/$name || exit 1; \
    done && \
    rm -rf /tmp/cache /tmp/modules && \
    mkdir -p /out/state /out/config /out/tmp && chmod 1777 /out/tmp

# --- the daemon: one program on nothing else

FROM scratch AS sqlsentinel
LABEL org.opencontainers.image.title="SQL Sentinel" \
      org.opencontainers.image.description="Turns SQL into alerts: runs the schedules and sends the messages" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/sqlsentinel/sqlsentinel"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/sqlsentinel /sqlsentinel
COPY --from=build /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/state /state
COPY --from=build /out/config /config
ENV SQLSENTINEL_CONFIG=/config/alerts.yaml STATE_DB_URL=sqlite:////state/sqlsentinel.db PORT=8080
USER 65532:65532
WORKDIR /config
VOLUME /state
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["/sqlsentinel", "healthcheck"]
ENTRYPOINT ["/sqlsentinel"]
CMD ["daemon"]

# --- the functions: one image, its command says which

FROM ${LAMBDA_IMAGE} AS lambda
LABEL org.opencontainers.image.title="SQL Sentinel, the functions" \
      org.opencontainers.image.description="query, sync, email, slack or webhook, by the command" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/sqlsentinel/sqlsentinel"
COPY --from=build /out/functions /var/task/functions
COPY functions/bootstrap.sh /var/runtime/bootstrap
CMD ["query"]
