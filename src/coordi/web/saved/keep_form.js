/** Keeps a look under a name. */

import { points, t } from "../core/i18n.js";
import { newId, notify } from "../core/items.js";
import { isWritten } from "../core/keeping.js";
import { read, save } from "../core/store.js";
import { html, useId, useLayoutEffect, useRef, useState } from "../core/ui.js";
import { Icon } from "../shared/icons.js";

/** @param {{items: import("../core/types.js").Item[], score: number | null, judge: string}} props Without a score there is nothing to keep yet. */
export function KeepForm({ items, score, judge }) {
  const [name, setName] = useState(/** @type {string | null} */ (null));
  const button = useRef(null);
  const field = useRef(null);
  const id = useId();
  const isOpen = name !== null;
  useLayoutEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, [isOpen]);
  const close = () => {
    setName(null);
    requestAnimationFrame(() => button.current?.focus());
  };
  const keep = async (event) => {
    event.preventDefault();
    if (score === null) return;
    const look = { uid: `l-${newId()}`, name: name.trim() || suggestedName(), score, judge, items, added: Date.now() };
    save(({ kept }) => ({ kept: [look, ...kept] }));
    close();
    await isWritten();
    notify(t("notice.kept", { name: look.name }));
  };
  if (!isOpen) {
    return html`<button type="button" class="button" ref=${button} disabled=${score === null} onClick=${() => setName(suggestedName())}><${Icon} name="heart" />${t("keep.open")}</button>`;
  }
  return html`<form class="keeping" onSubmit=${keep} onKeyDown=${(event) => event.key === "Escape" && close()}>
    <label for=${id}>${t("keep.name")}</label>
    <input class="field" id=${id} ref=${field} type="text" maxlength="80" value=${name} onInput=${(event) => setName(event.target.value)} />
    <button type="submit" class="button button--main" disabled=${score === null}>${t("keep.save")}</button>
    <button type="button" class="button" onClick=${close}>${t("action.cancel")}</button>
    ${score !== null && html`<span class="unseen">${t("score.spoken", { n: points(score) })}</span>`}
  </form>`;
}

function suggestedName() {
  const names = new Set(read().saved.kept.map((look) => look.name));
  let n = names.size + 1;
  while (names.has(t("keep.suggested", { n }))) n += 1;
  return t("keep.suggested", { n });
}
