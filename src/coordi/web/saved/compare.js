/** Two looks side by side, and what differs. */

import * as i18n from "../core/i18n.js";
import { KIND, nameOf } from "../core/labels.js";
import { html, useEffect, useRef } from "../core/ui.js";
import { Collage } from "../shared/collage.js";
import { ItemList, priceOf } from "../shared/item_list.js";
import { Bar, Score, wordOf } from "../shared/score.js";

const { t } = i18n;

/** @param {{looks: import("../core/types.js").Kept[], onClose: () => void}} props */
export function Compare({ looks, onClose }) {
  const title = useRef(null);
  useEffect(() => title.current.focus(), []);
  return html`<div class="comparing">
    <div class="kept__bar"><h1 ref=${title} tabindex="-1">${t("compare.title")}</h1>
      <button type="button" class="button" onClick=${onClose}>${t("compare.back")}</button></div>
    <div class="compare">
      ${looks.map((look) => html`<section class="compare__side" key=${look.uid} aria-label=${look.name}>
        <${Collage} items=${look.items} />
        <h2 class="look__name">${look.name}</h2>
        ${look.score === null
          ? html`<p class="quiet">${t("kept.unscored")}</p>`
          : html`<div class="look__score"><${Score} score=${look.score} large /><span>${wordOf(look.score)}</span></div><${Bar} score=${look.score} />`}
        <${ItemList} items=${look.items} />
      </section>`)}
    </div>
    <${Differences} looks=${looks} />
  </div>`;
}

function Differences({ looks: [one, other] }) {
  const has = (look, uid) => look.items.some((item) => item.uid === uid);
  const both = one.items.filter((item) => has(other, item.uid));
  const names = (items) => (items.length ? i18n.list(items.map(nameOf)) : t("compare.nothing"));
  const onlyIn = (look, than) => names(look.items.filter((item) => !has(than, item.uid)));
  const [prices, scores] = [[priceOf(one.items), priceOf(other.items)], [one.score, other.score]];
  return html`<section aria-labelledby="differs">
    <h2 id="differs">${t("compare.differs")}</h2>
    <dl class="differences">
      <div><dt>${t("compare.both")}</dt><dd>${names(both)}</dd></div>
      <div><dt>${t("compare.only", { name: one.name })}</dt><dd>${onlyIn(one, other)}</dd></div>
      <div><dt>${t("compare.only", { name: other.name })}</dt><dd>${onlyIn(other, one)}</dd></div>
      ${scores.every((score) => score !== null) && html`<div><dt>${t("compare.score")}</dt><dd>${higher(one, other, i18n.points(scores[0]), i18n.points(scores[1]))}</dd></div>`}
      ${prices.every((price) => price !== null) && html`<div><dt>${t("compare.price")}</dt><dd>${higher(one, other, ...prices)}</dd></div>`}
      ${["colour", "style", "occasion", KIND].map((attribute) => html`<${Attribute} key=${attribute} attribute=${attribute} one=${one} other=${other} />`)}
    </dl>
  </section>`;
}

function higher(one, other, mine, theirs) {
  if (mine === theirs) return t("compare.same");
  const more = mine > theirs ? one : other;
  return t("compare.higher", { name: more.name, by: i18n.price(Math.abs(mine - theirs)) });
}

/** What is said of one look's items and not of the other's. */
function Attribute({ attribute, one, other }) {
  const said = (look) => new Set(look.items.flatMap((item) => (item.attributes[attribute] ?? []).map((label) => label.text)));
  const [mine, theirs] = [said(one), said(other)];
  const only = (some, others) => [...some].filter((text) => !others.has(text)).map(i18n.label);
  const [left, right] = [only(mine, theirs), only(theirs, mine)];
  if (!left.length && !right.length) return null;
  const show = (look, labels) => t("compare.side", { name: look.name, what: labels.length ? i18n.list(labels) : t("compare.nothing") });
  return html`<div><dt>${i18n.attribute(attribute)}</dt><dd>${show(one, left)}<br />${show(other, right)}</dd></div>`;
}
