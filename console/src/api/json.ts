// Seeds have up to 64 bits, more than JavaScript's numbers hold: such integers are read as bigint, and written as they were.

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown;

const raw = (JSON as unknown as { rawJSON?: (text: string) => unknown }).rawJSON;

/** Read JSON without rounding its integers, where the browser can. */
export function parse(text: string): unknown {
  const exact: Reviver = (_key, value, context) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context!.source!) : value;
  return JSON.parse(text, raw ? exact : undefined);
}

/** Write JSON; bigints become numbers. */
export function write(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one === "bigint" ? (raw ? raw(String(one)) : Number(one)) : one), indent);
}
