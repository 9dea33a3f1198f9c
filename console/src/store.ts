import { useLayoutEffect, useReducer } from "preact/hooks";

/** A value that views follow. */
export class Store<T> {
  private followers = new Set<() => void>();

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  set(value: T): void {
    if (Object.is(value, this.current)) return;
    this.current = value;
    for (const follower of [...this.followers]) follower();
  }

  update(change: Partial<T>): void {
    this.set({ ...this.current, ...change });
  }

  follow(follower: () => void): () => void {
    this.followers.add(follower);
    return () => this.followers.delete(follower);
  }
}

/** The store's value; the component renders again when it changes. */
export function useStore<T>(store: Store<T>): T {
  const [, render] = useReducer((count: number) => count + 1, 0);
  const rendered = store.value;
  useLayoutEffect(() => {
    if (store.value !== rendered) render(undefined);
    return store.follow(() => render(undefined));
  }, [store]);
  return rendered;
}
