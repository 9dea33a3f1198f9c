import { call } from "./api/client";
import type { OwnKey } from "./api/types";
import { table } from "./i18n";
import { session } from "./session";
import { Store, useStore } from "./store";

const text = table({ key: "API key", all: "All keys" }, { key: "API 密钥", all: "所有密钥" });

/** In the place of a key's id: all of them. */
export const ALL = "*";

const NOBODY: OwnKey = { id: "", role: "user", keys: [] };

/** What the key of the session may do; undefined until the API has said it. Where it does not, the key is a user's. */
export const ownKey = new Store<OwnKey | undefined>(undefined);

async function ask(): Promise<void> {
  const { key } = session.value;
  ownKey.set(undefined);
  if (!key) return;
  const found = await call<OwnKey>("GET", "key").catch(() => NOBODY);
  if (session.value.key === key) ownKey.set(found);
}

session.follow(() => void ask());
void ask();

/** A key's name for people; "" where its reader sees no jobs but the own. */
export function keyName(own: OwnKey | undefined, id: string | null): string {
  if (own?.role !== "admin" || id === null) return "";
  return own.keys.find((one) => one.id === id)?.name ?? id;
}

/** Lets an admin choose whose jobs to see; nothing for others. */
export function KeyChoice({ value, onChoose }: { value: string; onChoose: (id: string) => void }) {
  const own = useStore(ownKey);
  const t = text();
  if (own?.role !== "admin") return null;
  return (
    <select class="select" aria-label={t.key} value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
      <option value={ALL}>{t.all}</option>
      {own.keys.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </select>
  );
}
