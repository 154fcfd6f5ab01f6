/** A sentence about what just happened, with the way back where there is one. It never takes the focus. */

import { t } from "../core/i18n.js";
import { update, useStore } from "../core/store.js";
import { html, useEffect, useRef } from "../core/ui.js";
import { Icon } from "./icons.js";

const SHOWN_FOR = 12_000;

export function Notices() {
  const notice = useStore((state) => state.notice);
  const ref = useRef(null);
  const away = () => update({ notice: null });
  useEffect(() => {
    if (!notice) return undefined;
    const timer = setInterval(() => !ref.current?.matches(":hover, :focus-within") && away(), SHOWN_FOR);
    return () => clearInterval(timer);
  }, [notice]);
  const undo = () => {
    notice.undo();
    away();
    document.getElementById("main").focus();
  };
  return html`<div class="notices" role="status" aria-live="polite" ref=${ref}>
    ${notice && html`<div class="notice">
      <p>${notice.text}</p>
      ${notice.undo && html`<button type="button" class="button button--notice" onClick=${undo}>${t("action.undo")}</button>`}
      <button type="button" class="button button--notice" aria-label=${t("action.close")} onClick=${away}><${Icon} name="close" /></button>
    </div>`}
  </div>`;
}
