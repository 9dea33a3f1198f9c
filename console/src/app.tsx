import { useEffect, useRef } from "preact/hooks";
import type { ComponentType } from "preact";
import { table } from "./i18n";
import { Icon, type IconName } from "./parts/icon";
import { Boundary } from "./parts/boundary";
import { Empty, Toasts } from "./parts/feedback";
import { preferences } from "./preferences";
import { href, route, type Route } from "./routes";
import { session } from "./session";
import { Settings } from "./settings";
import { SignIn } from "./sign-in";
import { useStore } from "./store";
import { Compare } from "./views/compare";
import { Gallery } from "./views/gallery";
import { JobView } from "./views/job";
import { Jobs } from "./views/jobs";
import { New } from "./views/new";
import { Servers } from "./views/servers";
import { UsageView } from "./views/usage";
import { Webhooks } from "./views/webhooks";

const text = table(
  {
    console: "Console",
    skip: "Skip to content",
    views: "Views",
    jobs: "Jobs",
    gallery: "Gallery",
    new: "New",
    usage: "Usage",
    servers: "Servers",
    webhooks: "Webhooks",
    missing: "There is no such page",
    back: "To the jobs",
  },
  {
    console: "控制台",
    skip: "跳到内容",
    views: "视图",
    jobs: "任务",
    gallery: "图库",
    new: "新建",
    usage: "用量",
    servers: "服务器",
    webhooks: "Webhook",
    missing: "没有此页面",
    back: "前往任务列表",
  },
);

interface View {
  /** Key of its name in `text`; views without one stand in no menu. */
  name?: "jobs" | "gallery" | "new" | "usage" | "servers" | "webhooks";
  icon?: IconName;
  show: ComponentType<{ route: Route }>;
}

/** The views by the first part of their address and by whether more parts follow. */
const VIEWS: Record<string, View> = {
  jobs: { name: "jobs", icon: "jobs", show: Jobs },
  "jobs/": { show: JobView },
  new: { name: "new", icon: "add", show: New },
  gallery: { name: "gallery", icon: "gallery", show: Gallery },
  servers: { name: "servers", icon: "servers", show: Servers },
  usage: { name: "usage", icon: "usage", show: UsageView },
  webhooks: { name: "webhooks", icon: "webhooks", show: Webhooks },
  "compare/": { show: Compare },
};

/** The page: the sign-in, or a menu and the view that the address names. */
export function App() {
  const { language } = useStore(preferences);
  const { key } = useStore(session);
  const here = useStore(route);
  const main = useRef<HTMLElement>(null);
  const [name = "jobs"] = here.path;
  const View = VIEWS[here.path.length > 1 ? `${name}/` : name]?.show ?? Missing;
  const isFirst = useRef(true);
  useEffect(() => {
    const t = text();
    const view = VIEWS[name]?.name;
    document.title = key && view ? `${t[view]} · ${t.console}` : t.console;
  }, [key, name, language]);
  useEffect(() => {
    // A reader who hears the page is brought to the new view; one who has just opened it stays where browsers start.
    if (!isFirst.current) main.current?.focus({ preventScroll: true });
    isFirst.current = false;
  }, [here.path.join("/")]);
  if (!key) return <SignIn />;
  const t = text();
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        {t.skip}
      </a>
      <header class="side">
        <a class="brand" href={href(["jobs"])}>
          <span class="mark" aria-hidden="true" />
          <span>{t.console}</span>
        </a>
        <nav aria-label={t.views}>
          {Object.entries(VIEWS).map(
            ([path, view]) =>
              view.name && (
                <a key={path} href={href([path])} aria-current={name === path || (path === "gallery" && name === "compare") ? "page" : undefined}>
                  <Icon name={view.icon!} />
                  <span>{t[view.name]}</span>
                </a>
              ),
          )}
        </nav>
        <Settings />
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Boundary key={here.path.join("/")}>
          <View route={here} />
        </Boundary>
      </main>
      <Toasts />
    </div>
  );
}

function Missing() {
  const t = text();
  return (
    <Empty icon="search" title={t.missing}>
      <a href={href(["jobs"])}>{t.back}</a>
    </Empty>
  );
}
