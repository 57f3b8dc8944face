import { type Span, SpanKind } from "@opentelemetry/api";
import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import {
  beginSpan,
  endSpan,
  inSpan,
  parseTraceContext,
  placeOf,
  type TraceContext,
  type Traced,
} from "../engine/index.ts";
import type { Env } from "./context.ts";

/** What `traced` leaves for the routes. */
export interface TraceVariables {
  trace?: TraceContext | undefined;
}

export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/**
 * Takes a request's place in a trace from its header `traceparent`, and says in the response where that has gone on: at a span
 * of this request, if an OpenTelemetry SDK is registered, else where it came from. An invalid header is no trace, and no error.
 */
export function traced(): MiddlewareHandler<Env> {
  return async (c, next) => {
    const from = parseTraceContext(c.req.header("traceparent"), c.req.header("tracestate"));
    const span = beginRequest(c, from);
    const place = (span && placeOf(span)) ?? from;
    if (place !== undefined) {
      c.set("trace", place);
      c.header("traceparent", place.traceparent);
    }
    if (span === undefined) return next();
    await inSpan(span, next);
    endRequest(c, span);
  };
}

/** Where a request is in a trace, as an option of what starts a run. */
export function traceOf(c: Context<Env>): Traced {
  return c.get("trace") ?? {};
}

/** https://opentelemetry.io/docs/specs/semconv/http/http-spans/ but for the query, which may hold what nobody else is to see. */
function beginRequest(c: Context<Env>, from: TraceContext | undefined): Span | undefined {
  const { method, path, url } = c.req;
  const known = METHODS.includes(method) ? method : "_OTHER";
  const route = routeOf(c);
  const { protocol, hostname, port } = new URL(url);
  const attributes = {
    "http.request.method": known,
    "http.route": route,
    "url.path": path,
    "url.scheme": protocol.slice(0, -1),
    "server.address": hostname,
    "server.port": port === "" ? undefined : Number(port),
    "user_agent.original": c.req.header("user-agent"),
  };
  const name = known === "_OTHER" ? "HTTP" : known;
  return beginSpan(route === undefined ? name : `${name} ${route}`, { kind: SpanKind.SERVER, attributes }, from);
}

/** The route that answers, in the notation of OpenAPI: `/v1/runs/{id}`; undefined if none does. */
export function routeOf(c: Context<Env>): string | undefined {
  const route = matchedRoutes(c).findLast(({ method }) => method !== "ALL");
  return route?.path.replace(/:(\w+)(?:\{[^/]*\})?\??/g, "{$1}");
}

function endRequest(c: Context<Env>, span: Span): void {
  const { status } = c.res;
  const { name = "Error", message = "", stack } = c.error ?? {};
  const error = { name, message, code: `${status}`, ...(stack === undefined ? {} : { stack }) };
  endSpan(span, { "http.response.status_code": status }, status < 500 ? undefined : error);
}
