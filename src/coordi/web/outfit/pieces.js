/** What lies on the table: each item with its photo, what is seen in it, and whether it is part of the outfit. */

import { notInChips, useFacts, withLabels } from "../core/facts.js";
import * as i18n from "../core/i18n.js";
import { changeItem, takeOffTable, toggle } from "../core/items.js";
import { nameOf } from "../core/labels.js";
import { useStore } from "../core/store.js";
import { classes, html, useId, useState } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { Photo } from "../shared/photo.js";
import { sentence } from "../shared/trouble.js";
import { Chips } from "./chips.js";
import { Facts } from "./facts.js";

const { t } = i18n;

/**
 * @param {{weakest: string | null, without: Record<string, number | null>, refusals: Record<string, any>}} props By uid:
 *   the weakest item, scores without each, and why the server can't judge it.
 */
export function Pieces({ weakest, without, refusals }) {
  const pieces = useStore((state) => state.saved.pieces);
  const items = useStore((state) => state.saved.items);
  return html`<ul class="pieces" role="list">
    ${pieces.filter(({ uid }) => items[uid]).map(({ uid, on }) => html`<${Piece} key=${uid} item=${items[uid]} on=${on} isWeakest=${uid === weakest} without=${without[uid] ?? null} refusal=${refusals[uid] ?? null} />`)}
  </ul>`;
}

function Piece({ item, on, isWeakest, without, refusal }) {
  const id = useId();
  const name = nameOf(item);
  const vocabulary = useStore((state) => state.vocabulary);
  const facts = useFacts(item, refusal !== null);
  const labelled = vocabulary ? withLabels(item, facts, vocabulary) : item;
  return html`<li class=${classes("piece", !on && "piece--aside", isWeakest && "piece--weakest")}>
    <div class="piece__photo">
      <${Photo} item=${item} />
      ${isWeakest && html`<span class="piece__badge">${t("piece.weakest")}</span>`}
    </div>
    <div class="piece__said">
      <div class="piece__head">
        <h3 class="piece__name">${item.kind === "photo" ? html`<${Name} item=${item} />` : name}</h3>
        <button type="button" class="button button--plain" aria-label=${t("piece.off", { name })} title=${t("piece.off", { name })}
          onClick=${() => takeOffTable(item.uid)}><${Icon} name="close" /></button>
      </div>
      ${item.kind === "catalogue"
        ? html`<p class="quiet">${i18n.list([i18n.category(item.category), ...(item.price === null || item.price === undefined ? [] : [i18n.price(item.price)])])}</p>`
        : html`<${Chips} item=${labelled} isRefused=${refusal !== null} />`}
      <${Facts} item=${item} facts=${notInChips(labelled, facts)} />
      ${isWeakest && without !== null && html`<p class="piece__without">${t("piece.without", { n: i18n.points(without) })}</p>`}
      ${refusal && html`<${Refused} item=${item} error=${refusal} />`}
      <label class="switch" for=${id}>
        <input id=${id} type="checkbox" role="switch" checked=${on} onChange=${(event) => toggle(item.uid, event.target.checked)} />
        <span class="switch__track" aria-hidden="true"></span>${t("piece.in")}<span class="unseen"> ${name}</span>
      </label>
    </div>
  </li>`;
}

/** Why the piece isn't part of what is judged, and what to do about it. */
function Refused({ item, error }) {
  if (item.kind === "catalogue" && error.code === "unknown_item") return html`<p class="ask">${t("piece.unknown")}</p>`;
  const { text, detail } = sentence(error);
  return html`<p class="ask">${t("piece.refused")} ${text} ${detail} ${t("piece.refused.do")}</p>`;
}

/** What an own item is called, which its user may change where it stands. */
function Name({ item }) {
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  const keep = () => {
    if (typed !== null) changeItem(item.uid, { title: typed.trim().slice(0, 120) });
    setTyped(null);
  };
  const press = (event) => {
    if (event.key === "Enter" && !event.isComposing) event.target.blur();
    if (event.key === "Escape") setTyped(null);
  };
  return html`<input class="naming" type="text" maxlength="120" aria-label=${t("piece.name", { name: nameOf(item) })}
    placeholder=${nameOf({ ...item, title: "" })} value=${typed ?? item.title} onInput=${(event) => setTyped(event.target.value)} onBlur=${keep}
    onKeyDown=${press} />`;
}
