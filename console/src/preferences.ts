import { Store } from "./store";

export type Language = "en" | "zh";
export type Theme = "system" | "light" | "dark";

export interface Preferences {
  language: Language;
  theme: Theme;
}

const KEPT = "console.preferences";

/** How a person likes the console: kept in this browser; contains no secret. */
export const preferences = new Store<Preferences>(read());

preferences.follow(apply);
apply();

function read(): Preferences {
  const usual: Preferences = { language: navigator.language.startsWith("zh") ? "zh" : "en", theme: "system" };
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Partial<Preferences>;
    if (kept.language === "en" || kept.language === "zh") usual.language = kept.language;
    if (kept.theme === "light" || kept.theme === "dark") usual.theme = kept.theme;
  } catch {
    // Unreadable, or the browser keeps nothing: the defaults hold.
  }
  return usual;
}

function apply(): void {
  const { language, theme } = preferences.value;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEPT, JSON.stringify(preferences.value));
  } catch {
    // As above.
  }
}
