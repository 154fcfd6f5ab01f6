/** The catalogue, searched by words and category; what is chosen goes on the table. */

import { ask } from "../core/api.js";
import * as i18n from "../core/i18n.js";
import { addFromCatalogue, fromCatalogue, notify } from "../core/items.js";
import { nameOf } from "../core/labels.js";
import { useStore } from "../core/store.js";
import { html, useEffect, useId, useState } from "../core/ui.js";
import { Dialog } from "../shared/dialog.js";
import { Photo } from "../shared/photo.js";
import { Trouble } from "../shared/trouble.js";

const { t } = i18n;
const PAGE = 24;
const PAUSE = 250;

/** @param {{onClose: () => void}} props */
export function CatalogueDialog({ onClose }) {
  const [words, setWords] = useState("");
  const [category, setCategory] = useState("");
  const { items, total, error, more, again } = useCatalogue(words, category);
  const counts = useStore((state) => state.vocabulary?.in_catalogue ?? {});
  const [search, choose] = [useId(), useId()];
  const take = (shown) => {
    addFromCatalogue(shown);
    notify(t("notice.added", { name: nameOf(fromCatalogue(shown)) }));
    onClose();
  };
  return html`<${Dialog} title=${t("catalogue.title")} onClose=${onClose} wide>
    <div class="searching" role="search">
      <label class="unseen" for=${search}>${t("catalogue.search")}</label>
      <input class="field" id=${search} type="search" maxlength="100" placeholder=${t("catalogue.search")} value=${words}
        onInput=${(event) => setWords(event.target.value)} />
      <label class="unseen" for=${choose}>${t("catalogue.category")}</label>
      <select class="field" id=${choose} value=${category} onChange=${(event) => setCategory(event.target.value)}>
        <option value="">${t("catalogue.all")}</option>
        ${Object.keys(counts).map((name) => html`<option value=${name} key=${name}>${i18n.category(name)}</option>`)}
      </select>
    </div>
    <p class="quiet" role="status">${total === null ? t("catalogue.loading") : t("catalogue.found", { n: total })}</p>
    <${Trouble} error=${error} again=${again} />
    <ul class="shelf" role="list">
      ${items.map((shown) => html`<li key=${shown.id}>
        <button type="button" class="shelf__item" onClick=${() => take(shown)}>
          <${Photo} item=${fromCatalogue(shown)} size=${320} />
          <span class="shelf__title">${nameOf(fromCatalogue(shown))}</span>
          <span class="quiet">${shown.price === null ? i18n.category(shown.category) : i18n.price(shown.price)}</span>
        </button>
      </li>`)}
    </ul>
    ${total !== null && items.length < total && html`<button type="button" class="button" onClick=${more}>${t("action.more")}</button>`}
  </${Dialog}>`;
}

/** The part of the catalogue that matches, page after page. */
function useCatalogue(words, category) {
  const [found, setFound] = useState({ items: [], total: /** @type {number | null} */ (null), error: null });
  const [turn, setTurn] = useState(0);
  const load = async (offset, signal) => {
    const query = new URLSearchParams({ offset: String(offset), limit: String(PAGE) });
    if (words.trim()) query.set("q", words.trim());
    if (category) query.set("category", category);
    try {
      const answer = await ask(`catalogue/items?${query}`, { signal });
      setFound((had) => ({ items: offset ? [...had.items, ...answer.items] : answer.items, total: answer.total, error: null }));
    } catch (error) {
      if (!signal?.aborted) setFound((had) => ({ ...had, error }));
    }
  };
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => load(0, stop.signal), words ? PAUSE : 0);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [words, category, turn]);
  return { ...found, more: () => load(found.items.length), again: () => setTurn((count) => count + 1) };
}
