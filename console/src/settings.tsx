import { table } from "./i18n";
import { Button, Menu } from "./parts/controls";
import { preferences, type Theme } from "./preferences";
import { session, signOut } from "./session";
import { useStore } from "./store";

const text = table(
  { theme: "Appearance", system: "As the system", light: "Light", dark: "Dark", language: "Language", leave: "Sign out" },
  { theme: "外观", system: "跟随系统", light: "浅色", dark: "深色", language: "语言", leave: "退出" },
);

const THEMES = { system: "screen", light: "sun", dark: "moon" } as const;

/** Appearance, language, and the way out. */
export function Settings() {
  const { theme, language } = useStore(preferences);
  const { key } = useStore(session);
  const t = text();
  return (
    <div class="settings">
      <Menu
        kind="quiet"
        text=""
        icon={THEMES[theme]}
        label={t.theme}
        items={(Object.keys(THEMES) as Theme[]).map((one) => ({
          text: t[one],
          icon: THEMES[one],
          checked: one === theme,
          onSelect: () => preferences.update({ theme: one }),
        }))}
      />
      <Menu
        kind="quiet"
        text=""
        icon="language"
        label={t.language}
        items={[
          { text: "English", checked: language === "en", onSelect: () => preferences.update({ language: "en" }) },
          { text: "中文", checked: language === "zh", onSelect: () => preferences.update({ language: "zh" }) },
        ]}
      />
      {key && <Button kind="quiet" icon="leave" label={t.leave} onClick={() => signOut()} />}
    </div>
  );
}
