/** Every word of the page, in the chosen language: `t("key", {n: 3})`. */

const LANGUAGES = { en: "English", ko: "한국어" };
const KEY = "coordi-language";

/** @type {{language: string, texts: Record<string, any>, plural: Intl.PluralRules}} */
const state = { language: "en", texts: {}, plural: new Intl.PluralRules("en") };

/** The language that was chosen here before, or the browser's first that there is. */
export function preferredLanguage() {
  const chosen = localStorage.getItem(KEY);
  if (chosen in LANGUAGES) return chosen;
  return navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES) ?? "en";
}

/** @param {string} language */
export async function useLanguage(language) {
  const response = await fetch(`/static/i18n/${language}.json`);
  state.texts = await response.json();
  state.language = language;
  state.plural = new Intl.PluralRules(language);
  document.documentElement.lang = language;
}

export const rememberLanguage = (language) => localStorage.setItem(KEY, language);
export const language = () => state.language;
export const languages = () => Object.entries(LANGUAGES);

/**
 * A text of the page. `{name}` in it is replaced; one with plural forms takes the form of `n`.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const text = state.texts[key];
  if (text === undefined) return key;
  const form = typeof text === "string" ? text : (text[state.plural.select(Number(values.n))] ?? text.other);
  return form.replace(/\{(\w+)\}/g, (_, name) => (name in values ? show(values[name]) : ""));
}

/** The text if there is one, else what is given: for words that a catalogue or vocabulary of one's own may bring. */
export const tOr = (key, otherwise) => (key in state.texts ? t(key) : otherwise);

const show = (value) => (typeof value === "number" ? number(value) : String(value));

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
export const number = (value, options) => new Intl.NumberFormat(state.language, options).format(value);

/** A price without a currency, which no catalogue says. @param {number} value */
export const price = (value) =>
  number(value, { minimumFractionDigits: Number.isInteger(value) ? 0 : 2, maximumFractionDigits: 2 });

/** @param {number} share Of 1. */
export const percent = (share) => number(share, { style: "percent", maximumFractionDigits: 0 });

/** P(yes) as it is shown: whole points out of 100. @param {number} score */
export const points = (score) => Math.round(score * 100);

/** @param {number} difference Of two scores. */
export const signedPoints = (difference) => number(points(difference), { signDisplay: "exceptZero" });

/** @param {number} milliseconds */
export const date = (milliseconds) =>
  new Intl.DateTimeFormat(state.language, { dateStyle: "medium" }).format(new Date(milliseconds));

/** @param {string[]} parts */
export const list = (parts) => parts.join(", ");

export const category = (name) => tOr(`category.${name}`, name);
export const attribute = (name) => tOr(`attribute.${name}`, name);
export const label = (text) => tOr(`label.${text}`, text);
export const gender = (name) => tOr(`gender.${name}`, name);
export const season = (name) => tOr(`season.${name}`, name);
export const occasion = (name) => tOr(`occasion.${name}`, name);
/** A temperature such as "8 C" too. */
export const weather = (name) => tOr(`weather.${name}`, season(name).replace(/ ([CF])$/, " °$1"));
const WISHED = {
  with: "wish.with", without: "wish.without", something: "wish.something", "price at least": "rule.price_min",
  "price at most": "rule.price_max", "made for": "rule.gender",
};
/** An occasion, weather, or what is wished or refused, as the server names them. */
export const wish = (name) => {
  const [, how, what] = /^(with|without|something|price at least|price at most|made for) (.+)$/.exec(name) ?? [];
  if (!how) return name === "in stock" ? t("filter.in_stock") : tOr(`occasion.${name}`, weather(name));
  if (how.startsWith("price")) return t(WISHED[how], { what: price(Number(what)) });
  if (how === "made for") return t(WISHED[how], { what: gender(what.split(" or ")[0].replace("everybody", "unisex")) });
  return t(WISHED[how], { what: tOr(`label.${what}`, what.split(" ").map(label).join(" ")) });
};
