/** What everybody should know of the server: it loads, it is away, it is busy, it wants a token. */

import { ask, setToken } from "../core/api.js";
import { t } from "../core/i18n.js";
import { waitForServer } from "../core/server.js";
import { update, useStore } from "../core/store.js";
import { html, useId, useState } from "../core/ui.js";
import { Dialog } from "./dialog.js";
import { sentence } from "./trouble.js";

export function ServerState() {
  const server = useStore((state) => state.server);
  const busy = useStore((state) => state.busy);
  const hasOldCatalogue = useStore((state) => state.ready?.catalogue_is_old);
  const keepsNothing = useStore((state) => state.keepsNothing);
  const said = { starting: "", loading: t("server.loading"), unreachable: t("server.unreachable"), ready: busy ? t("server.busy") : "" }[server];
  return html`<div class="banners" role="status" aria-live="polite">
      ${said && html`<p class="banner">${said}</p>`}
      ${hasOldCatalogue && html`<p class="banner">${t("server.old_catalogue")}</p>`}
      ${keepsNothing && html`<p class="banner">${t("server.keeps_nothing")}</p>`}
    </div>
    ${server === "signed-out" && html`<${SignIn} />`}`;
}

function SignIn() {
  const [typed, setTyped] = useState("");
  const [said, setSaid] = useState("");
  const id = useId();
  const signIn = async (event) => {
    event.preventDefault();
    setToken(typed.trim());
    try {
      await ask("ready");
      update({ server: "starting" });
      await waitForServer();
    } catch (error) {
      if (error.code === "not_ready") waitForServer();
      else {
        setToken("");
        setSaid(error.code === "unauthorized" ? t("signin.wrong") : sentence(error).text);
      }
    }
  };
  return html`<${Dialog} title=${t("signin.title")}>
    <form class="signin" onSubmit=${signIn}>
      <p>${t("signin.what")}</p>
      <label for=${id}>${t("signin.token")}</label>
      <input class="field" id=${id} type="password" autocomplete="current-password" required value=${typed} onInput=${(event) => setTyped(event.target.value)} />
      <p class="signin__said" role="alert">${said}</p>
      <button type="submit" class="button button--main">${t("signin.open")}</button>
    </form>
  </${Dialog}>`;
}
