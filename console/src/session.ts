import { Store } from "./store";

const KEPT = "console.key";

export interface Session {
  /** The API key, or "" for nobody. It leaves this tab only as a header of requests to the API. */
  key: string;
  /** Whether the API has refused the key that was in use. */
  refused: boolean;
}

export const session = new Store<Session>({ key: sessionStorage.getItem(KEPT) ?? "", refused: false });

export function signIn(key: string): void {
  sessionStorage.setItem(KEPT, key);
  session.set({ key, refused: false });
}

export function signOut(refused = false): void {
  sessionStorage.removeItem(KEPT);
  session.set({ key: "", refused });
}
