/** What is known of a piece beside its chips, in plain words, each with who says it. */

import * as i18n from "../core/i18n.js";
import { nameOf } from "../core/labels.js";
import { html } from "../core/ui.js";

const { t } = i18n;
const ALL_SEASONS = 4;
const AT_A_GLANCE = ["formality", "seasons"];

/** @typedef {import("../core/types.js").Fact} Fact */

/** @param {{item: import("../core/types.js").Item, facts: [string, Fact][]}} props */
export function Facts({ item, facts }) {
  if (!facts.length) return null;
  const glance = facts.filter(([name]) => AT_A_GLANCE.includes(name)).map(([name, fact]) => inWords(name, fact.values));
  return html`<details class="facts">
    <summary><span class="facts__title">${t("facts.title")}<span class="unseen"> ${nameOf(item)}</span></span>
      ${glance.length > 0 && html`<span class="facts__glance">${glance.join(" · ")}</span>`}</summary>
    <dl class="facts__list">
      ${facts.map(([name, fact]) => html`<div key=${name}>
        <dt>${i18n.tOr(`fact.${name}`, name)}:</dt>${" "}
        <dd><${Values} name=${name} values=${fact.values} /> <span class="facts__source">· ${t(`source.${fact.source}`)}</span></dd>
      </div>`)}
    </dl>
  </details>`;
}

/** Words of the lexicon are English, whatever the page's language is. */
function Values({ name, values }) {
  if (name in WORDS) return inWords(name, values);
  return values.map((value, place) => {
    const label = i18n.label(value);
    return html`${place > 0 && ", "}<span lang=${label === value ? "en" : undefined}>${label}</span>`;
  });
}

const WORDS = {
  category: i18n.category,
  formality: (value) => i18n.tOr(`formality.${value}`, value),
  seasons: i18n.season,
  audience: i18n.gender,
};

/** One fact with its source, such as "casual to cocktail, usual for its kind". @param {string} name @param {Fact} fact */
export function factInWords(name, { values, source }) {
  const words = name in WORDS ? inWords(name, values) : i18n.list(values.map(i18n.label));
  return t("fact.from", { words, source: t(`source.${source}`) });
}

function inWords(name, values) {
  if (name === "seasons" && values.length === ALL_SEASONS) return t("facts.all_year");
  const words = values.map(WORDS[name]);
  return name === "formality" && words.length > 1 ? t("facts.range", { from: words[0], to: words[1] }) : i18n.list(words);
}
