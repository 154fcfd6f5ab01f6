/** A look's items in words, with prices and their sum where the catalogue knows them. */

import * as i18n from "../core/i18n.js";
import { nameOf } from "../core/labels.js";
import { html } from "../core/ui.js";

/** @param {import("../core/types.js").Item[]} items @returns {number | null} Null if no price is known. */
export function priceOf(items) {
  const prices = items.flatMap((item) => (typeof item.price === "number" ? [item.price] : []));
  return prices.length ? prices.reduce((sum, price) => sum + price, 0) : null;
}

/** @param {{items: import("../core/types.js").Item[]}} props */
export function ItemList({ items }) {
  const total = priceOf(items);
  return html`<ul class="item-list" role="list">
    ${items.map((item) => html`<li key=${item.uid}><span>${nameOf(item)}</span>${typeof item.price === "number" && html`<span>${i18n.price(item.price)}</span>`}</li>`)}
    ${total !== null && html`<li class="item-list__total" key="total"><span>${i18n.t("look.total")}</span><span>${i18n.price(total)}</span></li>`}
  </ul>`;
}
