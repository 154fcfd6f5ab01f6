/** What is known of an item, as the server says it: for its chips, and for a list of what they don't show. */

import { useAnswer } from "./answers.js";
import { given, isKnown, KIND } from "./labels.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Fact} Fact */

const AFTER_SCORES = 400; // Milliseconds: the score of the outfit is asked for first.
/** What chips show, as the vocabulary's attributes, by the name of the fact. */
const ATTRIBUTES = { kind: KIND, colour: "colour", pattern: "pattern", material: "material" };

/**
 * What counts of an item, by name; none until it is known, and of an item that the server can't judge.
 * @param {Item} item @param {boolean} isRefused
 * @returns {Record<string, Fact>}
 */
export function useFacts(item, isRefused) {
  const { answer } = useAnswer("items", isRefused || !isKnown(item) ? null : { items: [given(item)] }, AFTER_SCORES);
  const facts = isRefused ? {} : (answer?.items[0].facts ?? {});
  return Object.fromEntries(Object.entries(facts).map(([name, [first]]) => [name, first]));
}

/**
 * An item as its chips show it: of words also what the server reads from them, as far as labels say it.
 * @param {Item} item @param {Record<string, Fact>} facts @param {any} vocabulary
 * @returns {Item}
 */
export function withLabels(item, facts, vocabulary) {
  if (item.kind !== "words") return item;
  const wordsSay = Object.entries(ATTRIBUTES).flatMap(([name, attribute]) => {
    const labels = facts[name]?.source === "user" ? labelsOf(facts[name].values, attribute, vocabulary) : [];
    return labels.length ? [[attribute, labels]] : [];
  });
  const category = item.category ?? facts.category?.values[0] ?? null;
  return { ...item, category, attributes: { ...Object.fromEntries(wordsSay), ...item.attributes } };
}

function labelsOf(values, attribute, vocabulary) {
  const { labels = [], most = 1 } = vocabulary.attributes.find((one) => one.name === attribute) ?? {};
  const texts = values.flatMap((value) => labels.filter((label) => plain(label) === plain(value)));
  return texts.slice(0, most).map((text) => ({ text, probability: null }));
}

/**
 * What its chips don't show, by name.
 * @param {Item} item As its chips show it. @param {Record<string, Fact>} facts
 * @returns {[string, Fact][]}
 */
export function notInChips(item, facts) {
  const labels = (name) => item.attributes[ATTRIBUTES[name]] ?? [];
  const isShown = (name, { values, source }) => {
    if (item.kind === "catalogue") return name === "category";
    if (name === "category") return !labels("kind").length;
    if (source === "photo") return labels(name).length > 0;
    const yours = labels(name).filter((label) => label.probability === null).map((label) => plain(label.text));
    return source === "user" && values.every((value) => yours.includes(plain(value)));
  };
  return Object.entries(facts).filter(([name, fact]) => !isShown(name, fact));
}

/** "t-shirt" is the label, "t shirt" the kind. */
const plain = (text) => text.replaceAll("-", " ");
