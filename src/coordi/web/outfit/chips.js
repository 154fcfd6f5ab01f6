/** What coordi sees in an item or reads from its words, each label a chip: changed, removed, or one more added. */

import * as i18n from "../core/i18n.js";
import { KIND, nameOf, say, unsay, wearAs } from "../core/labels.js";
import { useStore } from "../core/store.js";
import { classes, html, useEffect, useLayoutEffect, useRef } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { Picker } from "../shared/picker.js";

const { t } = i18n;
const WORN_AS = "worn:";
const SEVERAL = "several garments";

/**
 * @param {{item: import("../core/types.js").Item, isRefused?: boolean}} props `item`: with the labels that are read from its
 *   words; `isRefused`: the server can't judge it as it is.
 */
export function Chips({ item, isRefused = false }) {
  const vocabulary = useStore((state) => state.vocabulary);
  const list = useRef(null);
  const hadFocus = useRef(false);
  // A chip that was chosen or removed may be gone with the focus that it had.
  useLayoutEffect(() => {
    if (hadFocus.current && document.activeElement === document.body) list.current?.querySelector("button")?.focus();
    hadFocus.current = Boolean(list.current?.contains(document.activeElement));
  }, [JSON.stringify(item.attributes), item.category]);
  if (!vocabulary) return null;
  const chips = vocabulary.attributes.flatMap(({ name }) => (item.attributes[name] ?? []).map((label, place) => ({ name, label, place })));
  const hasKind = (item.attributes[KIND] ?? []).length > 0;
  return html`
    ${!item.category && item.kind === "photo" && html`<p class="ask">${t("chip.ask")}</p>`}
    ${item.kind === "photo" && item.attributes.subject?.some((label) => label.text === SEVERAL) && html`<p class="ask">${t("chip.several")}</p>`}
    <ul class="chips" role="list" ref=${list} aria-label=${t("chip.list", { name: nameOf(item) })} onFocusIn=${() => (hadFocus.current = true)}
      onFocusOut=${(event) => event.relatedTarget && (hadFocus.current = list.current.contains(event.relatedTarget))}>
      ${!hasKind && html`<li key="kind"><${KindChip} item=${item} vocabulary=${vocabulary} isRefused=${isRefused} /></li>`}
      ${chips.map(({ name, label, place }) => html`<li key=${`${name} ${place}`}><${Chip} item=${item} vocabulary=${vocabulary} attribute=${name} label=${label} /></li>`)}
      <li key="add"><${AddChip} item=${item} vocabulary=${vocabulary} /></li>
    </ul>`;
}

function Chip({ item, vocabulary, attribute, label }) {
  const name = i18n.label(label.text);
  const sure = label.probability === null ? t("chip.yours") : t("chip.sure", { share: i18n.percent(label.probability) });
  const what = t("chip.change", { attribute: i18n.attribute(attribute), label: name, sure });
  const change = (value) => take(item, vocabulary, attribute, value, label.text);
  return html`<span class=${classes("chip", label.probability === null && "chip--yours")}>
    <${Picker} kind="chip__label" label=${what} title=${`${i18n.attribute(attribute)}: ${sure}`} chosen=${label.text}
      groups=${groupsOf(vocabulary, attribute)} onTake=${change}>
      <span class="chip__attribute">${i18n.attribute(attribute)}</span>${" "}
      <span class="chip__text">${name}</span>
      <${Sure} probability=${label.probability} />
    </${Picker}>
    <button type="button" class="chip__remove" aria-label=${t("chip.remove", { attribute: i18n.attribute(attribute), label: name })}
      onClick=${() => unsay(item, attribute, label.text)}><${Icon} name="close" /></button>
  </span>`;
}

/** What it is worn as, where no label says its kind; the one thing that has to be known. */
function KindChip({ item, vocabulary, isRefused }) {
  const isMissing = isRefused || (!item.category && (item.kind === "photo" || item.corrected));
  const name = item.category ? i18n.category(item.category) : t(isMissing ? "chip.choose" : "chip.in_words");
  const what = t("chip.kind", { attribute: i18n.attribute(KIND), what: name });
  return html`<span class=${classes("chip", isMissing && "chip--missing")}>
    <${Picker} kind="chip__label" label=${what} chosen=${item.category ? WORN_AS + item.category : undefined}
      groups=${groupsOf(vocabulary, KIND)} onTake=${(value) => take(item, vocabulary, KIND, value)}>
      <span class="chip__attribute">${i18n.attribute(KIND)}</span>${" "}<span class="chip__text">${name}</span>
    </${Picker}>
  </span>`;
}

function AddChip({ item, vocabulary }) {
  const groups = vocabulary.attributes
    .filter(({ name }) => name !== KIND)
    .map(({ name, labels }) => ({
      name: i18n.attribute(name),
      options: labels
        .filter((text) => !(item.attributes[name] ?? []).some((label) => label.text === text))
        .map((text) => ({ value: `${name}:${text}`, text: i18n.label(text) })),
    }));
  const add = (value) => {
    const split = value.indexOf(":");
    say(item, vocabulary, value.slice(0, split), value.slice(split + 1));
  };
  return html`<${Picker} kind="chip chip--add" label=${t("chip.add", { name: nameOf(item) })} groups=${groups} onTake=${add}>
    <${Icon} name="add" />${t("action.add")}
  </${Picker}>`;
}

/** How sure it is, as a line under the label; the accessible name says it in words. */
function Sure({ probability }) {
  const ref = useRef(null);
  useEffect(() => ref.current?.style.setProperty("--share", String(probability)), [probability]);
  if (probability === null) return null;
  return html`<span class="chip__sure" aria-hidden="true" ref=${ref}></span>`;
}

function take(item, vocabulary, attribute, value, instead) {
  if (value.startsWith(WORN_AS)) wearAs(item, value.slice(WORN_AS.length));
  else say(item, vocabulary, attribute, value, instead);
}

/** The vocabulary's labels as a menu; those of the kind under what they are worn as, which can be taken itself. */
function groupsOf(vocabulary, attribute) {
  const { labels } = vocabulary.attributes.find((one) => one.name === attribute) ?? { labels: [] };
  const options = labels.map((text) => ({ value: text, text: i18n.label(text) }));
  if (attribute !== KIND) return [{ name: i18n.attribute(attribute), options }];
  return vocabulary.categories.map((category) => ({
    name: i18n.category(category),
    options: [
      ...options.filter((option) => vocabulary.worn_as[option.value] === category),
      { value: WORN_AS + category, text: t("chip.other", { category: i18n.category(category) }) },
    ],
  }));
}
