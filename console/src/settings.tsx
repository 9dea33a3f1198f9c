import { table } from "./i18n";
import { Menu } from "./parts/controls";
import { preferences, type Theme } from "./preferences";
import { session, signOut } from "./session";
import { useStore } from "./store";

const text = table(
  { settings: "Settings", system: "As the system", light: "Light", dark: "Dark", leave: "Sign out" },
  { settings: "设置", system: "跟随系统", light: "浅色", dark: "深色", leave: "退出" },
);

const THEMES = { system: "screen", light: "sun", dark: "moon" } as const;
const LANGUAGES = { en: "English", zh: "中文" } as const;

/** Appearance, language, and the way out. */
export function Settings() {
  const { theme, language } = useStore(preferences);
  const { key } = useStore(session);
  const t = text();
  const themes = (Object.keys(THEMES) as Theme[]).map((one) => ({
    text: t[one],
    icon: THEMES[one],
    checked: one === theme,
    onSelect: () => preferences.update({ theme: one }),
  }));
  const languages = (["en", "zh"] as const).map((one) => ({
    text: LANGUAGES[one],
    icon: "language" as const,
    checked: one === language,
    onSelect: () => preferences.update({ language: one }),
  }));
  const leave = key ? [{ text: t.leave, icon: "leave" as const, onSelect: () => signOut() }] : [];
  return (
    <div class="settings">
      <Menu kind="quiet" text="" icon="settings" label={t.settings} groups={[themes, languages, leave]} />
    </div>
  );
}
