/** What is said of an item: changed by its user, named for people, and given to the server. */

import * as i18n from "./i18n.js";
import { changeItem } from "./items.js";

/** @typedef {import("./types.js").Item} Item */

/** What the attribute is called whose labels say what an item is worn as. */
export const KIND = "category";

/** @param {Item} item @param {any} vocabulary @param {string} attribute @param {string} text @param {string} [instead] */
export function say(item, vocabulary, attribute, text, instead) {
  const most = vocabulary.attributes.find((one) => one.name === attribute)?.most ?? 1;
  const had = (item.attributes[attribute] ?? []).filter((label) => label.text !== text && label.text !== instead);
  const labels = [...had.slice(-(most - 1) || had.length, had.length), { text, probability: null }];
  const category = attribute === KIND ? (vocabulary.worn_as[text] ?? item.category) : item.category;
  changeItem(item.uid, {
    attributes: { ...item.attributes, [attribute]: most === 1 ? labels.slice(-1) : labels }, category, corrected: true,
  });
}

/** @param {Item} item @param {string} attribute @param {string} text */
export function unsay(item, attribute, text) {
  const labels = (item.attributes[attribute] ?? []).filter((label) => label.text !== text);
  changeItem(item.uid, { attributes: { ...item.attributes, [attribute]: labels }, corrected: true });
}

/** Worn as something, without saying which kind of it. @param {Item} item @param {string} category */
export const wearAs = (item, category) =>
  changeItem(item.uid, { category, attributes: { ...item.attributes, [KIND]: [] }, corrected: true });

/** What an item is called: its title, or what is seen. @param {Item} item */
export function nameOf(item) {
  if (item.title) return item.title;
  const first = (attribute) => item.attributes[attribute]?.[0]?.text;
  const kind = first(KIND) ? i18n.label(first(KIND)) : item.category ? i18n.category(item.category) : i18n.t("item.unknown");
  const colour = first("colour");
  return colour ? i18n.t("item.called", { colour: i18n.label(colour), kind }) : kind;
}

/** Whether the server can judge it: of a photo it must be known what it is worn as. @param {Item} item */
export const isKnown = (item) => item.kind !== "photo" || item.category !== null;

/** The request's `ItemGiven`. @param {Item} item */
export function given(item) {
  if (item.kind === "catalogue") return { id: item.id };
  if (item.kind === "words" && (!item.corrected || !item.category)) return { text: item.title };
  const said = Object.entries(item.attributes).filter(([, labels]) => labels.length);
  const attributes = Object.fromEntries(said.map(([name, labels]) => [name, labels.map((label) => label.text)]));
  return { seen: { category: item.category, attributes, title: item.title } };
}
