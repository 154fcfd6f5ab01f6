/** What is said of an item: changed by its user, named for people, and given to the server. */

import * as i18n from "./i18n.js";
import { changeItem } from "./items.js";
import { read } from "./store.js";

/** @typedef {import("./types.js").Item} Item */

/** What the attribute is called whose labels say what an item is worn as. */
export const KIND = "category";

/**
 * One more label, or another instead of one.
 * @param {Item} item As its chips show it. @param {any} vocabulary @param {string} attribute @param {string} text @param {string} [instead]
 */
export function say(item, vocabulary, attribute, text, instead) {
  const most = vocabulary.attributes.find((one) => one.name === attribute)?.most ?? 1;
  const had = (item.attributes[attribute] ?? []).filter((label) => label.text !== text && label.text !== instead);
  const labels = [...had.slice(-(most - 1) || had.length, had.length), { text, probability: null }];
  const category = attribute === KIND ? (vocabulary.worn_as[text] ?? item.category) : item.category;
  correct(item, attribute, most === 1 ? labels.slice(-1) : labels, category);
}

/** @param {Item} item As its chips show it. @param {string} attribute @param {string} text */
export const unsay = (item, attribute, text) =>
  correct(item, attribute, (item.attributes[attribute] ?? []).filter((label) => label.text !== text), item.category);

/** Worn as something, without saying which kind of it. @param {Item} item @param {string} category */
export const wearAs = (item, category) => correct(item, KIND, [], category);

/** Changes one attribute: what the chips show of the others may be what was read from the item's words. */
function correct({ uid }, attribute, labels, category) {
  const attributes = { ...read().saved.items[uid]?.attributes, [attribute]: labels };
  changeItem(uid, { attributes, category, corrected: true });
}

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

/** An item of a request. @param {Item} item */
export function given(item) {
  if (item.kind === "catalogue") return { id: item.id };
  if (item.kind === "words" && (!item.corrected || !item.category)) return { text: item.title };
  const labelled = Object.entries(item.attributes).filter(([, labels]) => labels.length);
  const attributes = Object.fromEntries(labelled.map(([name, labels]) => [name, labels.map((label) => label.text)]));
  const corrected = correctedOf(item);
  // Embeddings of two encoders can't be compared.
  const embedding = item.encoder === read().ready?.encoder ? item.embedding : undefined;
  return { seen: { category: item.category, attributes, title: item.title, ...(corrected.length && { corrected }), ...(embedding && { embedding }) } };
}

/** Attributes whose labels count before the title and the photo: the user's. Removed ones of words count as well, and so does a kind that gave way to a category. */
function correctedOf(item) {
  const names = Object.keys(item.attributes).filter((name) => item.attributes[name].some((label) => label.probability === null));
  if (item.kind !== "words") return item.corrected && item.attributes[KIND]?.length === 0 ? [...names, KIND] : names;
  const attributes = read().vocabulary?.attributes.map(({ name }) => name) ?? [];
  return [...names, ...attributes.filter((name) => item.attributes[name]?.length === 0)];
}
