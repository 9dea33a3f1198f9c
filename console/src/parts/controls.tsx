import type { ComponentChildren, TargetedKeyboardEvent } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icon";

interface ButtonProps {
  children?: ComponentChildren;
  icon?: IconName;
  /** What it does, where it shows no text. */
  label?: string;
  kind?: "primary" | "plain" | "quiet" | "danger";
  type?: "button" | "submit";
  disabled?: boolean;
  busy?: boolean;
  pressed?: boolean;
  tabIndex?: number;
  onClick?: () => void;
}

export function Button({ children, icon, label, kind = "plain", type = "button", disabled, busy, pressed, tabIndex, onClick }: ButtonProps) {
  return (
    <button
      type={type}
      class={`button ${kind}${children ? "" : " square"}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      tabIndex={tabIndex}
      aria-busy={busy || undefined}
      disabled={disabled || busy}
      onClick={onClick}
    >
      {icon && <Icon name={icon} />}
      {children && <span>{children}</span>}
    </button>
  );
}

/** A link that looks like a button. `href` is an address of this page, or of an output. */
export function LinkButton(props: { href: string; children?: ComponentChildren; icon?: IconName; label?: string; kind?: string; away?: boolean }) {
  const elsewhere = props.away ? { target: "_blank", rel: "noopener noreferrer" } : {};
  return (
    <a class={`button ${props.kind ?? "plain"}${props.children ? "" : " square"}`} href={props.href} aria-label={props.label} title={props.label} {...elsewhere}>
      {props.icon && <Icon name={props.icon} />}
      {props.children && <span>{props.children}</span>}
    </a>
  );
}

/** A choice of one among few, side by side. */
export function Segments<T extends string>(props: { label: string; value: T; options: { value: T; text: ComponentChildren; title?: string }[]; onChange: (value: T) => void }) {
  const name = useId();
  return (
    <fieldset class="segments">
      <legend class="unseen">{props.label}</legend>
      {props.options.map(({ value, text, title }) => (
        <label key={value} title={title}>
          <input type="radio" name={name} value={value} checked={value === props.value} onChange={() => props.onChange(value)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** A field with its label above, and what is wrong with it below. */
export function Field(props: { label: ComponentChildren; hint?: ComponentChildren; error?: ComponentChildren; children: (ids: { id: string; "aria-describedby": string; "aria-invalid": boolean }) => ComponentChildren }) {
  const id = useId();
  const about = `${id}-about`;
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.children({ id, "aria-describedby": about, "aria-invalid": Boolean(props.error) })}
      <div class={props.error ? "about wrong" : "about"} id={about}>
        {props.error ?? props.hint}
      </div>
    </div>
  );
}

export interface MenuItem {
  text: string;
  icon?: IconName;
  /** Whether it is the chosen one of its group; undefined for an action. */
  checked?: boolean;
  onSelect: () => void;
}

/** A button that opens a list of actions and choices, in groups. */
export function Menu(props: { text: ComponentChildren; icon?: IconName; label?: string; kind?: string; groups: MenuItem[][] }) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();
  // Before the next key comes: it belongs to the menu.
  useLayoutEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>("[role^=menuitem]")?.focus();
    const onPress = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener("pointerdown", onPress);
    return () => removeEventListener("pointerdown", onPress);
  }, [open]);
  const close = () => {
    setOpen(false);
    root.current?.querySelector<HTMLElement>("button")?.focus();
  };
  const onKey = (event: TargetedKeyboardEvent<HTMLDivElement>) => {
    if (!open) return;
    const items = [...root.current!.querySelectorAll<HTMLElement>("[role^=menuitem]")];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (event.key === "Escape") close();
    else if (event.key === "Tab") setOpen(false);
    else if (step) items[(at + step + items.length) % items.length]?.focus();
    else if (event.key === "Home") items[0]?.focus();
    else if (event.key === "End") items.at(-1)?.focus();
    else return;
    if (event.key !== "Tab") event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" ref={root} onKeyDown={onKey}>
      <button type="button" class={`button ${props.kind ?? "plain"}${props.text ? "" : " square"}`} aria-haspopup="menu" aria-expanded={open} aria-controls={id} aria-label={props.label} title={props.label} onClick={() => setOpen(!open)}>
        {props.icon && <Icon name={props.icon} />}
        {props.text && <span>{props.text}</span>}
        {props.text && <Icon name="down" size={12} />}
      </button>
      <div class="menu-items" role="menu" id={id} hidden={!open}>
        {open &&
          props.groups.map((items, group) => (
            <div key={group} role="group">
              {items.map((item) => (
                <button
                  key={item.text}
                  type="button"
                  role={item.checked === undefined ? "menuitem" : "menuitemradio"}
                  aria-checked={item.checked}
                  tabIndex={-1}
                  onClick={() => {
                    close();
                    item.onSelect();
                  }}
                >
                  {item.icon && <Icon name={item.icon} />}
                  <span>{item.text}</span>
                  {item.checked && <Icon name="check" />}
                </button>
              ))}
            </div>
          ))}
      </div>
    </div>
  );
}
