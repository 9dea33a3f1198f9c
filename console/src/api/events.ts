import { ApiError, pause, send } from "./client";
import { parse as parseJson } from "./json";

export interface ServerEvent {
  id: string;
  event: string;
  data: unknown;
}

const MAX_PAUSE_S = 15;
const SILENCE_MS = 45_000; // the API comments every 15 s

/**
 * Follow a job until its event "end": each event as it comes. A broken stream is resumed after the last event seen.
 *
 * Throws ApiError where the API rejects it, and the signal's AbortError. `lost` is told when the stream breaks and
 * comes back.
 */
export async function* jobEvents(job: string, signal: AbortSignal, lost: (isLost: boolean) => void): AsyncGenerator<ServerEvent> {
  let last = "";
  for (let failures = 0; ; failures++) {
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const answer = await send("GET", `jobs/${job}/events`, { headers, signal });
      for await (const event of parse(answer.body!, signal)) {
        if (failures) lost(false);
        failures = 0;
        if (event.id) last = event.id;
        yield event;
        if (event.event === "end") return;
      }
    } catch (error) {
      if (signal.aborted) throw error;
      const isFinal = error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
      if (isFinal) throw error;
    }
    if (failures) lost(true);
    await pause(Math.min(MAX_PAUSE_S, 0.5 * 2 ** failures) * 1000, signal);
  }
}

/** The events of a stream (HTML standard, "Server-sent events"); throws where nothing comes for too long. */
export async function* parse(body: ReadableStream<Uint8Array>, signal?: AbortSignal): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await beforeSilence(reader.read(), signal);
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const blocks = rest.split(/\r?\n\r?\n/);
      rest = blocks.pop()!;
      for (const block of blocks) {
        const event: ServerEvent = { id: "", event: "message", data: undefined };
        let data = "";
        for (const line of block.split(/\r?\n/)) {
          const [, name, text = ""] = /^([^:]*):? ?(.*)$/s.exec(line)!;
          if (name === "id") event.id = text;
          else if (name === "event") event.event = text;
          else if (name === "data") data += (data && "\n") + text;
        }
        if (data) yield { ...event, data: parseJson(data) };
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function beforeSilence<T>(read: Promise<T>, signal?: AbortSignal): Promise<T> {
  const silence = new AbortController();
  signal?.addEventListener("abort", () => silence.abort(signal.reason));
  const timeout = pause(SILENCE_MS, silence.signal).then(() => {
    throw new Error("the stream is silent");
  });
  try {
    return await Promise.race([read, timeout]);
  } finally {
    timeout.catch(() => undefined);
    silence.abort();
  }
}
