/** Why an item is suggested, composed in the page's language from what moved the score. */

import { label, list, signedPoints, t } from "../core/i18n.js";
import { nameOf } from "../core/labels.js";
import { html } from "../core/ui.js";

const LEAST = 0.005; // Half a point: less isn't shown as a number either.
const MOST_ITEMS = 2;
const MOST_LABELS = 3;

/**
 * @param {{reason: any, items: import("../core/types.js").Item[], ofLook?: boolean}} props `items`: those that positions in
 *   the reason mean; `ofLook`: they are the look itself.
 */
export function Reason({ reason, items, ofLook = false }) {
  if (!reason) return null;
  const helpful = reason.items.filter((moved) => moved.by >= LEAST && items[moved.position]);
  const labels = reason.attributes.filter((moved) => moved.by >= LEAST).slice(0, MOST_LABELS);
  const against = reason.items.filter((moved) => moved.by <= -LEAST && items[moved.position]).slice(-1);
  const sentences = [
    helpful.length && t(ofLook ? "reason.look" : "reason.items", { what: list(helpful.slice(0, MOST_ITEMS).map((moved) => said(nameOf(items[moved.position]), moved))) }),
    labels.length && t("reason.labels", { what: list(labels.map((moved) => said(label(moved.label), moved))) }),
    against.length && t(ofLook ? "reason.look.against" : "reason.against", { what: said(nameOf(items[against[0].position]), against[0]) }),
  ].filter(Boolean);
  return html`<p class="reason">${sentences.length ? sentences.join(" ") : t("reason.nothing")}</p>`;
}

const said = (name, moved) => t("reason.moved", { name, by: signedPoints(moved.by) });
