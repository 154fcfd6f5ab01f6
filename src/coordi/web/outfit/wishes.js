/** What the outfit is for and the weather, as chips; and what was understood of both. */

import * as i18n from "../core/i18n.js";
import { flip, OF_WISH, setFilters } from "../core/filters.js";
import { nameOf } from "../core/labels.js";
import { useStore } from "../core/store.js";
import { html, useEffect, useId, useState } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { Picker } from "../shared/picker.js";
import { factInWords } from "./facts.js";
import { LeftOut } from "./nothing_fits.js";

const { t } = i18n;
const MOST = 3; // The server's limit of occasions at once.
const WEATHER = ["rain", "snow", "wind"];

export function Wishes() {
  const { occasion, weather } = useStore((state) => state.saved.filters);
  const names = useStore((state) => state.vocabulary?.occasions ?? []);
  const options = names.filter((name) => !occasion.includes(name)).map((value) => ({ value, text: i18n.occasion(value) }));
  return html`<${Words} /><div class="wishes toggles" role="group" aria-label=${t("wish.title")}>
    ${occasion.map((name) => html`<button type="button" class="toggle" key=${name} aria-pressed="true" onClick=${() => flip("occasion", name)}>${i18n.occasion(name)}<${Icon} name="close" /></button>`)}
    ${options.length > 0 && occasion.length < MOST && html`<${Picker} kind="toggle toggle--add" label=${t("wish.occasion")} groups=${[{ name: t("wish.occasion"), options }]}
      onTake=${(name) => flip("occasion", name)}><${Icon} name="add" />${t("wish.occasion")}</${Picker}>`}
    <${Degrees} />
    ${WEATHER.map((name) => html`<button type="button" class="toggle" key=${name} aria-pressed=${weather.includes(name)} onClick=${() => flip("weather", name)}>${i18n.weather(name)}</button>`)}
  </div>`;
}

/** A wish in words; it is read when the user ends it, as half a word means something else. */
function Words() {
  const wish = useStore((state) => state.saved.filters.wish);
  const [typed, setTyped] = useState(wish);
  const id = useId();
  useEffect(() => setTyped(wish), [wish]);
  const take = (event) => {
    event.preventDefault();
    setFilters({ wish: typed });
  };
  return html`<form class="wishes__words" onSubmit=${take}><label for=${id}>${t("wish.words")}</label>
    <input class="field" id=${id} name="wish" type="search" maxlength="300" placeholder=${t("wish.words.example")} value=${typed}
      onInput=${(event) => setTyped(event.target.value)} onChange=${take} /></form>`;
}

function Degrees() {
  const { degrees, unit } = useStore((state) => state.saved.filters);
  const id = useId();
  const change = (event) => setFilters({ degrees: event.target.value.trim() === "" ? null : Number(event.target.value) });
  return html`<span class="wishes__degrees"><label class="unseen" for=${id}>${t("wish.degrees")}</label>
    <input class="field" id=${id} type="number" step="any" placeholder=${t("wish.degrees")} value=${degrees ?? ""} onInput=${change} />
    <select class="field" aria-label=${t("wish.unit")} value=${unit} onChange=${(event) => setFilters({ unit: event.target.value })}>
      ${["C", "F"].map((name) => html`<option value=${name} key=${name} selected=${name === unit}>°${name}</option>`)}
    </select></span>`;
}

/** @param {{answer: any, items: import("../core/types.js").Item[]}} props `items`: those of the request. */
export function Understood({ answer, items }) {
  const { understood, left_out: rules } = answer;
  if (!understood) return null;
  const what = [...understood.occasions.map(i18n.occasion), ...understood.weather.map(i18n.weather), ...understood.wishes.map(i18n.wish)];
  const codes = understood.formality.map((code) => t(`formality.${code}`));
  const left = rules.filter((rule) => ["occasion", "weather", ...OF_WISH].includes(rule.name));
  return html`<div class="understood">
    <p>${what.length > 0 && t("understood.for", { what: i18n.list(what) })} ${codes.length > 0 && t("understood.codes", { what: codes.length > 1 ? t("facts.range", { from: codes[0], to: codes[1] }) : codes[0] })}${" "}
      ${understood.gives_way.map((row) => t("understood.gives_way", { what: i18n.wish(row.what), to: i18n.wish(row.to) })).join(" ")}
      ${understood.not_understood.length > 0 && html`<b>${t("understood.not", { what: i18n.list(understood.not_understood) })}</b>`}</p>
    ${understood.outfit.length > 0 && html`<ul class="remarks" role="list">
      ${understood.outfit.filter((remark) => items[remark.item]).map((remark) => html`<li key=${`${remark.guide} ${remark.item}`}><${Icon} name="warning" /><span>${t("understood.breaks", {
        name: nameOf(items[remark.item]), guide: i18n.wish(remark.guide), fact: factInWords(remark.name, remark.fact) })}</span></li>`)}
    </ul>`}
    ${answer.nothing === "" && left.length > 0 && html`<details class="marked"><summary>${t("understood.left_out", { n: left.reduce((sum, rule) => sum + rule.count, 0) })}</summary>
      <${LeftOut} rules=${left} /></details>`}
  </div>`;
}
