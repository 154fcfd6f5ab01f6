/** A look's photos laid out together, the first one large. */

import { nameOf } from "../core/labels.js";
import { html } from "../core/ui.js";
import { Photo } from "./photo.js";

const SHOWN = 6;

/** @param {{items: import("../core/types.js").Item[]}} props */
export const Collage = ({ items }) => html`<ul class=${`collage collage--${Math.min(items.length, SHOWN)}`} role="list">
  ${items.slice(0, SHOWN).map((item) => html`<li key=${item.uid} title=${nameOf(item)}><${Photo} item=${item} named size=${640} /></li>`)}
</ul>`;
