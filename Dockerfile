# One image for every part: `gateway` or `worker` is said when it is started.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# The optional packages are the runtimes themselves, for machines that have none.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

# The dashboard is bundled with the development packages, which the image itself does without.
FROM node:24-bookworm-slim AS dashboard
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY bin/build-dashboard.mjs bin/
COPY gateway gateway
RUN node bin/build-dashboard.mjs

FROM oven/bun:1.4.5-slim
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json tsconfig.json ./
COPY engine engine
COPY workflows workflows
COPY gateway gateway
COPY --from=dashboard /app/gateway/dashboard/built gateway/dashboard/built
COPY cli cli
# A volume that is mounted here takes its owner from the directory.
RUN mkdir -p /data/blobs && chown bun:bun /data/blobs
USER bun
ENTRYPOINT ["bun", "cli/main.ts"]
