/** A window over the page: focus stays in it, Escape closes it, focus returns to where it was. */

import { t } from "../core/i18n.js";
import { html, useEffect, useId, useRef } from "../core/ui.js";
import { Icon } from "./icons.js";

/** @param {{title: string, onClose?: () => void, children: any, wide?: boolean}} props Without `onClose` it stays. */
export function Dialog({ title, onClose, children, wide = false }) {
  const ref = useRef(null);
  const id = useId();
  useEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    ref.current.showModal();
    return () => before?.focus?.();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose?.();
  };
  return html`<dialog class=${wide ? "dialog dialog--wide" : "dialog"} ref=${ref} aria-labelledby=${id} onCancel=${cancel}>
    <div class="dialog__head">
      <h2 id=${id}>${title}</h2>
      ${onClose && html`<button type="button" class="button button--plain" aria-label=${t("action.close")} onClick=${onClose}>
        <${Icon} name="close" />
      </button>`}
    </div>
    ${children}
  </dialog>`;
}
