/** What went wrong, as a sentence with something to do. */

import { ApiError } from "../core/api.js";
import { language, t, tOr } from "../core/i18n.js";
import { serverLost } from "../core/server.js";
import { html, useEffect } from "../core/ui.js";
import { Icon } from "./icons.js";

/** The server's own sentence if it is in the page's language; else the page's, and the server's beside it. */
export function sentence(error) {
  if (!(error instanceof ApiError)) {
    return { text: error?.reason ? t(`error.photo.${error.reason}`) : t("error.internal"), detail: "" };
  }
  if (!error.message) return { text: tOr(`error.${error.code}`, t("error.internal")), detail: "" };
  const said = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  if (error.language === language()) return { text: /[.!?]$/.test(said) ? said : `${said}.`, detail: "" };
  return { text: tOr(`error.${error.code}`, t("error.internal")), detail: html`<span lang=${error.language}>${said}</span>` };
}

/** @param {{error: any, again?: () => void, children?: any}} props */
export function Trouble({ error, again, children }) {
  useEffect(() => {
    if (error?.code === "unreachable") serverLost();
  }, [error]);
  if (!error || error.code === "unauthorized") return null;
  const { text, detail } = sentence(error);
  return html`<div class="trouble">
    <${Icon} name="warning" />
    <p>${text} ${detail && html`<span class="trouble__detail">${detail}</span>`}</p>
    ${children} ${again && html`<button type="button" class="button" onClick=${again}>${t("action.again")}</button>`}
  </div>`;
}
