/** Why an item is suggested, composed in the page's language from what a stylist would say and what moved the score. */

import { label, list, signedPoints, t, wish } from "../core/i18n.js";
import { nameOf } from "../core/labels.js";
import { html } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { factInWords } from "./facts.js";

const LEAST = 0.005; // Half a point: less isn't shown as a number either.
const MOST_ITEMS = 2;
const MOST_LABELS = 3;

/** What the rules of style say of an outfit, those for it first. @param {{remarks: any[], items: import("../core/types.js").Item[]}} props */
export function Remarks({ remarks, items }) {
  if (!remarks.length) return null;
  const rows = [...remarks.filter((remark) => remark.speaks_for), ...remarks.filter((remark) => !remark.speaks_for)];
  return html`<ul class="remarks" role="list" aria-label=${t("remarks.title")}>
    ${rows.map((remark) => html`<li key=${remark.rule}><${Icon} name=${remark.speaks_for ? "check" : "warning"} /><span>${inWords(remark, items)}</span></li>`)}
  </ul>`;
}

/** Items that weren't in the outfit are "it". */
function inWords({ rule, fact, items: pair }, items) {
  const whose = pair.map((one) => {
    const name = one.position !== null && items[one.position] ? nameOf(items[one.position]) : t("remark.it");
    return t("remark.item", { name, fact: factInWords(fact, one.fact) });
  });
  return t(`remark.${rule}`, { what: list(whose) });
}

/**
 * @param {{reason: any, items: import("../core/types.js").Item[], ofLook?: boolean}} props `items`: those that positions in
 *   the reason mean; `ofLook`: they are the look itself.
 */
export function Reason({ reason, items, ofLook = false }) {
  if (!reason) return null;
  const helpful = reason.items.filter((moved) => moved.by >= LEAST && items[moved.position]);
  const labels = reason.attributes.filter((moved) => moved.by >= LEAST).slice(0, MOST_LABELS);
  const against = reason.items.filter((moved) => moved.by <= -LEAST && items[moved.position]).slice(-1);
  const fits = [...new Map(reason.fits.map((remark) => [remark.guide, remark])).values()];
  const sentences = [
    ...fits.map((remark) => t("reason.fits", { guide: wish(remark.guide), fact: factInWords(remark.name, remark.fact) })),
    helpful.length && t(ofLook ? "reason.look" : "reason.items", { what: list(helpful.slice(0, MOST_ITEMS).map((moved) => said(nameOf(items[moved.position]), moved))) }),
    labels.length && t("reason.labels", { what: list(labels.map((moved) => said(label(moved.label), moved))) }),
    against.length && t(ofLook ? "reason.look.against" : "reason.against", { what: said(nameOf(items[against[0].position]), against[0]) }),
  ].filter(Boolean);
  const nothing = reason.remarks.length ? "" : t("reason.nothing");
  return html`<${Remarks} remarks=${reason.remarks} items=${items} /><p class="reason">${sentences.join(" ") || nothing}</p>`;
}

const said = (name, moved) => t("reason.moved", { name, by: signedPoints(moved.by) });
