/** What the language model named in words, with every step that led to it, as the answer of `complete` has them. */

import * as i18n from "../core/i18n.js";
import { fromCatalogue } from "../core/items.js";
import { nameOf } from "../core/labels.js";
import { html } from "../core/ui.js";

const { t } = i18n;

/** @param {{generated: any[]}} props By category; empty if the model was asked for no words. */
export function Named({ generated }) {
  return generated.map((row) => html`<section class="named" key=${row.want} aria-label=${t("named.title", { category: i18n.category(row.want) })}>
    <h3>${t("named.title", { category: i18n.category(row.want) })}</h3>
    <dl class="named__steps">
      <${Step} name="recommended">${i18n.list(row.recommended.map(inWords)) || t("named.nothing")}</${Step}>
      <${Step} name="shortlist">${i18n.list(row.shortlist.map((shown) => nameOf(fromCatalogue(shown)))) || t("named.nothing")}</${Step}>
      <${Step} name="prompt"><details><summary>${t("named.prompt.open")}<span class="unseen"> ${i18n.category(row.want)}</span></summary>
        <pre class="named__prompt" lang="en">${row.prompt}</pre></details></${Step}>
      <${Step} name="text">${row.text ? html`<q lang="en">${row.text}</q>` : t("named.nothing")}</${Step}>
      <${Step} name="words"><span lang="en">${row.words}</span></${Step}>
      ${row.note && html`<${Step} name="note"><span lang="en">${row.note}</span></${Step}>`}
    </dl>
  </section>`);
}

const Step = ({ name, children }) => html`<div><dt>${t(`named.${name}`)}:</dt>${" "}<dd>${children}</dd></div>`;

const inWords = ({ text, probability }) => t("named.label", { label: i18n.label(text), share: i18n.percent(probability) });
