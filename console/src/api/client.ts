import { session, signOut } from "../session";
import { parse, write } from "./json";
import type { FieldProblem } from "./types";

/** The API's base URL: the page is served at its path "console". */
export const BASE = location.origin + location.pathname.replace(/\/console\/*$/, "");

const MAX_TRIES = 3;

/** A rejection by the API, or status 0 where there was no answer. `errors` has each field that is wrong. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly errors: FieldProblem[] = [],
    readonly retryAfterS: number | null = null,
  ) {
    super(detail);
  }
}

export interface CallOptions {
  query?: Record<string, string | number | undefined>;
  /** Sent as JSON, or as it is if it is a form or a file. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/**
 * Call API v1 and read its JSON; null for an answer without a body.
 *
 * A GET that meets the throttle (429) or a failing gateway is tried again. Throws ApiError, or the signal's AbortError.
 */
export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  for (let number = 1; ; number++) {
    try {
      const answer = await send(method, path, options);
      if (answer.status === 204 || answer.status === 202 && answer.headers.get("content-length") === "0") return null as T;
      const text = await answer.text();
      return (text ? parse(text) : null) as T;
    } catch (error) {
      const isPassing = error instanceof ApiError && (error.status === 429 || error.status >= 502);
      if (method !== "GET" || !isPassing || number >= MAX_TRIES) throw error;
      await pause(Math.min(error.retryAfterS ?? number, 5) * 1000, options.signal);
    }
  }
}

/** Send a request with the key; throws ApiError for every answer that is not 2xx. */
export async function send(method: string, path: string, options: CallOptions = {}): Promise<Response> {
  const { key } = session.value;
  const url = new URL(`${BASE}/v1/${path}`);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  const isRaw = options.body instanceof FormData || options.body instanceof Blob;
  const headers: Record<string, string> = { "x-api-key": key, ...options.headers };
  if (options.body !== undefined && !isRaw) headers["Content-Type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(url, {
      method,
      headers,
      body: isRaw ? (options.body as BodyInit) : options.body === undefined ? null : write(options.body),
      signal: options.signal ?? null,
      credentials: "omit",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "");
  }
  if (answer.ok) return answer;
  const error = await rejection(answer);
  if (error.status === 401 && key === session.value.key) signOut(true);
  throw error;
}

/** Reads problem details, or the shape of errors that API Gateway itself answers with. */
async function rejection(answer: Response): Promise<ApiError> {
  const retryAfter = Number(answer.headers.get("retry-after") ?? NaN);
  const after = Number.isFinite(retryAfter) ? retryAfter : null;
  let body: { code?: string; detail?: string; errors?: FieldProblem[]; error?: { code?: string; message?: string } } = {};
  try {
    body = await answer.json();
  } catch {
    // A proxy's own page: the status has to do.
  }
  const code = body.code ?? body.error?.code ?? "";
  const detail = body.detail ?? body.error?.message ?? answer.statusText;
  return new ApiError(answer.status, code, String(detail), Array.isArray(body.errors) ? body.errors : [], after);
}

/** Wait; throws the signal's AbortError if it is aborted meanwhile. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

const OUTPUT = /\/v1\/outputs\/[^/?#]+\/[^/?#]+$/;

/**
 * An output's link on the page's own origin; undefined for anything else.
 *
 * The API names itself as its caller reached it, which may differ from how the page was reached. Without a redirect the
 * bytes come from the API, so that they also reach browsers that cannot see the bucket; large files redirect anyway.
 */
export function outputUrl(url: string | null | undefined): string | undefined {
  const path = url ? OUTPUT.exec(url.split("?", 1)[0]!)?.[0] : undefined;
  return path && `${BASE}${path}?redirect=false`;
}
