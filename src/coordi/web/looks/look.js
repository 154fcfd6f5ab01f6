/** A whole look as a card. */

import { category, list, t } from "../core/i18n.js";
import { fromCatalogue, wear } from "../core/items.js";
import { html } from "../core/ui.js";
import { KeepForm } from "../saved/keep_form.js";
import { Reason } from "../outfit/reason.js";
import { Collage } from "../shared/collage.js";
import { Bar, QuickFlag, Score, wordOf } from "../shared/score.js";
import { ItemList } from "../shared/item_list.js";

/**
 * The items of an answer's look: the one that it is around is the client's own where it isn't of the catalogue.
 * @param {any} look @param {import("../core/types.js").Item} around
 */
export const itemsOf = (look, around) => look.items.map((shown) => (shown.id === null ? around : fromCatalogue(shown)));

/** @param {{look: any, around: import("../core/types.js").Item, judge: string}} props */
export function LookCard({ look, around, judge }) {
  const items = itemsOf(look, around);
  const put = () => {
    wear(items);
    location.hash = "outfit";
  };
  return html`<article class="look">
    <${Collage} items=${items} />
    <div class="look__said">
      <div class="look__score"><${Score} score=${look.score} /><span>${wordOf(look.score)}</span><${QuickFlag} judge=${judge} /></div>
      <${Bar} score=${look.score} />
      <${Reason} reason=${look.reason} items=${items} ofLook />
      <${ItemList} items=${items} />
      ${look.lacks.length > 0 && html`<p class="look__lacks">${t("look.lacks", { what: list(look.lacks.map(category)) })}</p>`}
      <div class="look__do">
        <button type="button" class="button button--main" onClick=${put}>${t("look.wear")}</button>
        <${KeepForm} items=${items} score=${look.score} judge=${judge} />
      </div>
    </div>
  </article>`;
}
