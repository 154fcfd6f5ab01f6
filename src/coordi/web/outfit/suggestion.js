/** One item that would complete the outfit. */

import * as i18n from "../core/i18n.js";
import { addFromCatalogue, fromCatalogue, notify } from "../core/items.js";
import { mark, unmark } from "../core/filters.js";
import { nameOf } from "../core/labels.js";
import { classes, html } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { Photo } from "../shared/photo.js";
import { Bar, Score } from "../shared/score.js";
import { Reason } from "./reason.js";

const { t } = i18n;

/** @param {{suggestion: any, items: import("../core/types.js").Item[], now: number | null}} props `now`: the outfit's score without it. */
export function Suggestion({ suggestion, items, now }) {
  const { item: shown, score, is_pinned: isPinned, reason } = suggestion;
  const item = fromCatalogue(shown);
  const name = nameOf(item);
  const add = () => {
    addFromCatalogue(shown);
    notify(t("notice.added", { name }));
  };
  const hide = () => {
    mark("excluded", { id: item.id, title: name });
    notify(t("notice.hidden", { name }), () => unmark("excluded", item.id));
  };
  const pin = () => (isPinned ? unmark("pinned", item.id) : mark("pinned", { id: item.id, title: name }));
  return html`<article class=${classes("card", isPinned && "card--pinned")} aria-label=${name}>
    <div class="card__photo">
      <${Photo} item=${item} size=${640} />
      <div class="card__score"><${Score} score=${score} /><${Bar} score=${score} />
        ${now !== null && i18n.points(score) < i18n.points(now) && html`<p class="card__lower">${t("card.lower")}</p>`}</div>
    </div>
    <div class="card__said">
      <p class="card__kind">${i18n.list([i18n.category(shown.category), shown.brand].filter(Boolean))}</p>
      <h3 class="card__title">${name}</h3>
      ${shown.price !== null && html`<p class="card__price"><span class="unseen">${t("card.price")} </span>${i18n.price(shown.price)}</p>`}
      <${Reason} reason=${reason} items=${items} />
    </div>
    <div class="card__do">
      <button type="button" class="button button--main" onClick=${add}>${t("card.add")}<span class="unseen"> ${name}</span></button>
      <button type="button" class="button button--icon" aria-pressed=${isPinned} aria-label=${t("card.pin", { name })} title=${t("card.pin.short")}
        onClick=${pin}><${Icon} name="pin" /></button>
      <button type="button" class="button button--icon" aria-label=${t("card.hide", { name })} title=${t("card.hide.short")}
        onClick=${hide}><${Icon} name="hide" /></button>
    </div>
  </article>`;
}
