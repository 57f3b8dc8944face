# One image for every part: `gateway` or `worker` is said when it is started.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# The optional packages are the runtimes themselves, for machines that have none.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM oven/bun:1.4.5-slim
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json tsconfig.json ./
COPY engine engine
COPY workflows workflows
COPY gateway gateway
COPY cli cli
# A volume that is mounted here takes its owner from the directory.
RUN mkdir -p /data/blobs && chown bun:bun /data/blobs
USER bun
ENTRYPOINT ["bun", "cli/main.ts"]
