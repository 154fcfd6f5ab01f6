/** A window over the page: focus stays in it, Escape closes it, focus returns to where it was. */

import { t } from "../core/i18n.js";
import { html, useId, useLayoutEffect, useRef } from "../core/ui.js";
import { Icon } from "./icons.js";

/** @param {{title: string, onClose?: () => void, children: any, wide?: boolean}} props Without `onClose` it stays. */
export function Dialog({ title, onClose, children, wide = false }) {
  const ref = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    const dialog = ref.current;
    dialog.showModal();
    return () => {
      dialog.close(); // While it is open nothing under it takes the focus.
      before?.focus?.();
    };
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
