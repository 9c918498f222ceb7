# The three programs, one image each: `docker build --target proxy .`, `api`, `frontend`.
# Works with the classic builder and with BuildKit alike, so it uses neither `RUN --mount` nor here-documents.

# --- What is built, without its sources ----------------------------------------------------------------------------
# Manifests, the lock file and an empty program in the place of each real one. The next stage copies the result, and
# a copy is cached by its content: an edit of a source changes nothing in here, so the dependencies stay cached.
# The `[[test]]` targets are left out for the same reason: a new test needs no new dependencies.
FROM rust:1-bookworm AS manifests
WORKDIR /sources
COPY . .
WORKDIR /manifests
RUN cp /sources/Cargo.toml /sources/Cargo.lock . \
 && for manifest in /sources/*/Cargo.toml; do \
      crate=$(basename "$(dirname "$manifest")"); \
      mkdir -p "$crate/src"; \
      awk '/^\[/ { skip = /^\[\[test\]\]/ } !skip' "$manifest" > "$crate/Cargo.toml"; \
      [ ! -e "/sources/$crate/src/main.rs" ] || echo 'fn main() {}' > "$crate/src/main.rs"; \
      [ ! -e "/sources/$crate/src/lib.rs" ] || : > "$crate/src/lib.rs"; \
    done

# --- The programs ---------------------------------------------------------------------------------------------------
FROM rust:1-bookworm AS build
# zlib-ng, under Pingora, is built with cmake. Some Rust images have it already.
RUN command -v cmake > /dev/null \
 || (apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*)
WORKDIR /build
COPY --from=manifests /manifests .
RUN cargo build --release --locked
COPY proxy proxy
COPY api api
COPY frontend frontend
COPY service service
# Cargo goes by the time of a file, and the real sources are older than the empty ones that were just built.
RUN find proxy api frontend service -name '*.rs' -exec touch {} + \
 && cargo build --release --locked \
 && mkdir /generations

# --- What runs ------------------------------------------------------------------------------------------------------
# No shell is needed by anything below: the programs check their own health.
FROM debian:bookworm-slim AS runtime
# A number, not a name: Kubernetes' `runAsNonRoot` can then see that it is not root.
USER 10001:10001
WORKDIR /

FROM runtime AS api
COPY --from=build /build/target/release/tidegate-api /usr/local/bin/
ENV TIDEGATE_API_LISTEN=0.0.0.0:5252
EXPOSE 5252
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["tidegate-api", "health"]
ENTRYPOINT ["tidegate-api"]

FROM runtime AS frontend
COPY --from=build /build/target/release/tidegate-frontend /usr/local/bin/
COPY frontend/site /srv/site
ENV TIDEGATE_FRONTEND_LISTEN=0.0.0.0:9000 TIDEGATE_FRONTEND_ROOT=/srv/site
EXPOSE 9000
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["tidegate-frontend", "health"]
ENTRYPOINT ["tidegate-frontend"]

FROM runtime AS proxy
COPY --from=build /build/target/release/tidegate /usr/local/bin/
# A folder, so that a mount over it sees files that editors replace.
COPY conf/compose /etc/tidegate
# A volume over it keeps what ran.
COPY --from=build --chown=10001:10001 /generations /var/lib/tidegate
ENV TIDEGATE_CONFIG=/etc/tidegate/tidegate.yaml TIDEGATE_STATE=/var/lib/tidegate
EXPOSE 80 9901
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["tidegate", "health", "--admin", "127.0.0.1:9901"]
ENTRYPOINT ["tidegate"]
