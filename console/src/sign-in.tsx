import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, send } from "./api/client";
import { table } from "./i18n";
import { Button, Field } from "./parts/controls";
import { explained } from "./parts/feedback";
import { session, signIn, signOut } from "./session";
import { Settings } from "./settings";
import { useStore } from "./store";

const text = table(
  {
    title: "Sign in",
    key: "API key",
    hint: (
      <>
        <code>make up</code> prints it, or the name of its file. On AWS, <code>deploy/print-key.sh</code> prints it.
      </>
    ),
    kept: "The key stays in this tab until you close it or sign out.",
    enter: "Sign in",
    wrong: "The platform does not know this key.",
    refused: "The platform no longer accepts this key. Sign in with another one.",
    missing: "Enter a key.",
    characters: "A key has only letters, digits and signs, without spaces.",
  },
  {
    title: "登录",
    key: "API 密钥",
    hint: (
      <>
        由 <code>make up</code> 显示，或显示密钥所在的文件；在 AWS 上由 <code>deploy/print-key.sh</code> 显示。
      </>
    ),
    kept: "密钥只保存在此标签页中，关闭或退出后即清除。",
    enter: "登录",
    wrong: "平台不认识此密钥。",
    refused: "平台不再接受此密钥，请使用其他密钥登录。",
    missing: "请输入密钥。",
    characters: "密钥只含字母、数字和符号，没有空格。",
  },
);

/** Asks for an API key, and tries it. */
export function SignIn() {
  const { refused } = useStore(session);
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const t = text();
  useEffect(() => input.current?.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    const key = input.current!.value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) return setError(key ? t.characters : t.missing);
    setBusy(true);
    try {
      await send("GET", "jobs", { query: { limit: 1 }, headers: { "x-api-key": key } });
      signIn(key);
    } catch (problem) {
      const isWrong = problem instanceof ApiError && (problem.status === 401 || problem.status === 403);
      if (isWrong) signOut();
      setError(isWrong ? t.wrong : explained(problem));
      setBusy(false);
      input.current?.select();
    }
  };
  return (
    <div class="sign-in">
      <main>
        <form onSubmit={submit}>
          <span class="mark large" aria-hidden="true" />
          <h1>{t.title}</h1>
          <Field label={t.key} hint={t.hint} error={error ?? (refused ? t.refused : undefined)}>
            {(ids) => <input {...ids} ref={input} type="password" name="key" autocomplete="off" spellcheck={false} onInput={() => setError(undefined)} />}
          </Field>
          <Button type="submit" kind="primary" busy={isBusy}>
            {t.enter}
          </Button>
          <p class="soft small">{t.kept}</p>
        </form>
      </main>
      <Settings />
    </div>
  );
}
