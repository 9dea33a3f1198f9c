const SHAPES = {
  jobs: "M2.5 4h11M2.5 8h11M2.5 12h7",
  gallery: "M2.5 3h11v10h-11zM2.5 10.5l3.2-3.2 2.6 2.6 1.7-1.7 3.5 3.3M10.4 5.8v.01",
  add: "M8 3v10M3 8h10",
  usage: "M3 13.5V9M8 13.5V2.5M13 13.5V6.5",
  servers: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5v.01M5 11v.01",
  webhooks: "M6.2 6.4a2.6 2.6 0 1 1 3 2.4M5 8.6a2.6 2.6 0 1 0 2.4 3.4h3.4M7 6.6l-2 4M9.2 5.4l2 4a2.6 2.6 0 1 1-1 3.9",
  settings: "M3 4.5h6M12 4.5h1M3 11.5h1M7 11.5h6M10.5 3v3M5.5 10v3",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  moon: "M13 9.4A5.5 5.5 0 0 1 6.6 3a5.5 5.5 0 1 0 6.4 6.4z",
  screen: "M2.5 3h11v7.5h-11zM6 13.5h4M8 10.5v3",
  language: "M2 4h7M5.5 2.5V4M7.6 4c-.5 2.6-2.4 4.8-5.1 6M3.6 6.2c.9 1.8 2.3 3 4 3.6M8.3 13.5l2.7-6.5 2.7 6.5M9.2 11.5h3.6",
  leave: "M6.5 2.5H3v11h3.5M10 5l3 3-3 3M13 8H6",
  close: "M4 4l8 8M12 4l-8 8",
  back: "M9.5 3.5L5 8l4.5 4.5",
  next: "M6.5 3.5L11 8l-4.5 4.5",
  down: "M4 6.5L8 10.5l4-4",
  check: "M3 8.5l3.3 3.3L13 4.5",
  cross: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  stop: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM3.7 3.7l8.6 8.6",
  clock: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 4.8V8l2.2 1.4",
  retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  compare: "M8 1.8v12.4M2.5 4H6v8H2.5zM10 4h3.5v8H10z",
  download: "M8 2.5v7.5M4.8 7L8 10.2 11.2 7M2.8 13.5h10.4",
  warning: "M8 2.2L14.3 13H1.7zM8 6.3v3M8 11.2v.01",
  info: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 7.3v3.6M8 5.1v.01",
  external: "M9.5 2.5h4v4M13.5 2.5L7.5 8.5M11.5 9.5v4h-9v-9h4",
  search: "M7 2.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6zM10.5 10.5l3.3 3.3",
  upload: "M8 10.2V2.7M4.8 5.7L8 2.5l3.2 3.2M2.8 13.5h10.4",
  edit: "M3 13l.6-2.8 7.6-7.6 2.2 2.2-7.6 7.6zM10 4l2.2 2.2",
  dice: "M2.8 2.8h10.4v10.4H2.8zM5.6 5.6v.01M10.4 5.6v.01M8 8v.01M5.6 10.4v.01M10.4 10.4v.01",
  workflow: "M2 3h4.5v3.5H2zM9.5 9.5H14V13H9.5zM9.5 3H14v3.5H9.5zM6.5 4.7h3M11.7 6.5v3",
  pin: "M3 3.5h10v9H3zM3 3.5l10 9",
} as const;

export type IconName = keyof typeof SHAPES;

/** A picture beside a text, which says the same; screen readers skip it. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={SHAPES[name]} />
    </svg>
  );
}
