/** What may be suggested: a panel that opens, says how much is set, and can be reset. */

import * as i18n from "../core/i18n.js";
import { countOf, flip, resetFilters, setFilters, unmark } from "../core/filters.js";
import { update, useStore } from "../core/store.js";
import { html, useId, useState } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { Picker } from "../shared/picker.js";
import { Wishes } from "./wishes.js";

const { t } = i18n;

/** @param {{children?: any}} props `children`: more switches beside the quick one. */
export function FilterPanel({ children }) {
  const [isOpen, setOpen] = useState(false);
  const filters = useStore((state) => state.saved.filters);
  const vocabulary = useStore((state) => state.vocabulary);
  const quick = useStore((state) => state.quick);
  const [panel, switched] = [useId(), useId()];
  const count = countOf(filters);
  const setQuick = (event) => {
    localStorage.setItem("coordi-quick", event.target.checked ? "yes" : "no");
    update({ quick: event.target.checked });
  };
  return html`<div class="filtering">
    <${Wishes} />
    <div class="filtering__bar">
      <button type="button" class="button" aria-expanded=${isOpen} aria-controls=${panel} onClick=${() => setOpen(!isOpen)}>
        <${Icon} name="sliders" />${count ? t("filter.some", { n: count }) : t("filter.open")}
      </button>
      ${count > 0 && html`<button type="button" class="button button--plain" onClick=${resetFilters}>${t("filter.reset")}</button>`}
      <label class="switch" for=${switched} title=${t("quick.explained")}>
        <input id=${switched} type="checkbox" role="switch" checked=${quick} onChange=${setQuick} />
        <span class="switch__track" aria-hidden="true"></span>${t("quick.switch")}
      </label>
      ${children}
    </div>
    <div class="filters" id=${panel} hidden=${!isOpen}>
      ${isOpen && vocabulary && html`<${Fields} filters=${filters} vocabulary=${vocabulary} />`}
    </div>
    <${Marked} name="pinned" items=${filters.pinned} />
    <${Marked} name="excluded" items=${filters.excluded} />
  </div>`;
}

function Fields({ filters, vocabulary }) {
  const categories = Object.keys(vocabulary.in_catalogue);
  const colours = vocabulary.attributes.find((one) => one.name === "colour")?.labels ?? [];
  return html`
    <${Toggles} legend=${t("filter.want")} name="want" values=${categories} show=${i18n.category} />
    <${Toggles} legend=${t("filter.unwanted")} name="unwanted" values=${categories} show=${i18n.category} />
    <fieldset class="filters__group">
      <legend>${t("filter.price")}</legend>
      <${PriceField} name="price_min" label=${t("filter.price_min")} value=${filters.price_min} range=${vocabulary.price_range} />
      <${PriceField} name="price_max" label=${t("filter.price_max")} value=${filters.price_max} range=${vocabulary.price_range} />
    </fieldset>
    <${Chosen} legend=${t("filter.colours")} name="colours" values=${colours} show=${i18n.label} />
    <${Chosen} legend=${t("filter.unwanted_colours")} name="unwanted_colours" values=${colours} show=${i18n.label} />
    ${vocabulary.brands.length > 0 && html`
      <${Chosen} legend=${t("filter.brands")} name="brands" values=${vocabulary.brands} show=${String} />
      <${Chosen} legend=${t("filter.unwanted_brands")} name="unwanted_brands" values=${vocabulary.brands} show=${String} />`}
    ${vocabulary.genders.length > 0 && html`<${GenderField} value=${filters.gender} genders=${vocabulary.genders} />`}
    ${vocabulary.seasons.length > 0 && html`<${Toggles} legend=${t("filter.seasons")} name="seasons" values=${vocabulary.seasons} show=${i18n.season} />`}
    <${Stock} value=${filters.in_stock} />`;
}

/** Few values, all of them there to press. */
function Toggles({ legend, name, values, show }) {
  const chosen = useStore((state) => state.saved.filters[name]);
  return html`<fieldset class="filters__group">
    <legend>${legend}</legend>
    <div class="toggles">
      ${values.map((value) => html`<button type="button" class="toggle" key=${value} aria-pressed=${chosen.includes(value)} onClick=${() => flip(name, value)}>${show(value)}</button>`)}
    </div>
  </fieldset>`;
}

/** Many values: those that were chosen, and a menu of the others. */
function Chosen({ legend, name, values, show }) {
  const chosen = useStore((state) => state.saved.filters[name]);
  const options = values.filter((value) => !chosen.includes(value)).map((value) => ({ value, text: show(value) }));
  return html`<fieldset class="filters__group">
    <legend>${legend}</legend>
    <div class="toggles">
      ${chosen.map((value) => html`<button type="button" class="toggle" key=${value} aria-pressed="true" onClick=${() => flip(name, value)}>${show(value)}<${Icon} name="close" /></button>`)}
      <${Picker} kind="toggle toggle--add" label=${t("filter.choose", { what: legend })} groups=${[{ name: legend, options }]} onTake=${(value) => flip(name, value)}>
        <${Icon} name="add" />${t("action.add")}
      </${Picker}>
    </div>
  </fieldset>`;
}

function PriceField({ name, label, value, range }) {
  const id = useId();
  const edge = range ? range[name === "price_min" ? 0 : 1] : null;
  const change = (event) => {
    const price = event.target.value.trim() === "" ? null : Number(event.target.value);
    if (price === null || (Number.isFinite(price) && price >= 0)) setFilters({ [name]: price });
  };
  return html`<label class="pricing" for=${id}><span>${label}</span>
    <input class="field" id=${id} type="number" min="0" step="any" inputmode="decimal" placeholder=${edge === null ? "" : i18n.price(edge)}
      value=${value ?? ""} onInput=${change} /></label>`;
}

function GenderField({ value, genders }) {
  const id = useId();
  return html`<div class="filters__group">
    <label class="filters__label" for=${id}>${t("filter.gender")}</label>
    <select class="field" id=${id} value=${value ?? ""} onChange=${(event) => setFilters({ gender: event.target.value || null })}>
      <option value="">${t("filter.anybody")}</option>
      ${genders.map((name) => html`<option value=${name} key=${name} selected=${name === value}>${i18n.gender(name)}</option>`)}
    </select>
  </div>`;
}

function Stock({ value }) {
  const id = useId();
  return html`<div class="filters__group"><label class="switch" for=${id}>
    <input id=${id} type="checkbox" role="switch" checked=${value} onChange=${(event) => setFilters({ in_stock: event.target.checked })} />
    <span class="switch__track" aria-hidden="true"></span>${t("filter.in_stock")}
  </label></div>`;
}

/** Items that must be there, or must not, and the way back. */
function Marked({ name, items }) {
  if (!items.length) return null;
  return html`<details class="marked">
    <summary>${t(`filter.${name}.count`, { n: items.length })}</summary>
    <ul class="toggles" role="list">
      ${items.map((item) => html`<li key=${item.id}><button type="button" class="toggle" aria-label=${t("filter.unmark", { name: item.title })}
        onClick=${() => unmark(name, item.id)}>${item.title}<${Icon} name="close" /></button></li>`)}
    </ul>
  </details>`;
}
