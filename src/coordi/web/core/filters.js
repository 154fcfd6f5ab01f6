/** Filters as the server's `rules`, how many there are, and which of them a rule in its words is. */

import { noFilters, read, save } from "./store.js";

/** @typedef {import("./types.js").Filters} Filters */

/** Rules that the words of a wish gave. */
export const OF_WISH = ["features", "unwanted_features", "something"];
const LISTS = ["want", "unwanted", "brands", "unwanted_brands", "colours", "unwanted_colours", "seasons"];
/** A thing is asked for or refused, never both. */
const OPPOSITE = {
  want: "unwanted", unwanted: "want", brands: "unwanted_brands", unwanted_brands: "brands",
  colours: "unwanted_colours", unwanted_colours: "colours",
};

/** @param {Partial<Filters>} change */
export const setFilters = (change) => save(({ filters }) => ({ filters: { ...filters, ...change } }));

/** @param {string} name Of a list. @param {string} value */
export function flip(name, value) {
  const filters = read().saved.filters;
  const has = filters[name].includes(value);
  const change = { [name]: has ? filters[name].filter((one) => one !== value) : [...filters[name], value] };
  const opposite = OPPOSITE[name];
  if (!has && opposite) change[opposite] = filters[opposite].filter((one) => one !== value);
  setFilters(change);
}

/** All but what is pinned and never shown, which are decisions about single items, and what the outfit is for. */
export const resetFilters = () => save(({ filters: { pinned, excluded, occasion, weather, degrees, unit, wish } }) => (
  { filters: { ...noFilters(), pinned, excluded, occasion, weather, degrees, unit, wish } }));

/** @param {"pinned" | "excluded"} name @param {{id: string, title: string}} item */
export function mark(name, item) {
  const other = name === "pinned" ? "excluded" : "pinned";
  const filters = read().saved.filters;
  setFilters({
    [name]: [...without(filters[name], item.id), { id: item.id, title: item.title }],
    [other]: without(filters[other], item.id),
  });
}

/** @param {"pinned" | "excluded"} name @param {string} id */
export const unmark = (name, id) => setFilters({ [name]: without(read().saved.filters[name], id) });

const without = (items, id) => items.filter((item) => item.id !== id);

/** How many filters are set; every category, brand, colour and season counts. @param {Filters} filters */
export function countOf(filters) {
  const listed = LISTS.reduce((sum, name) => sum + filters[name].length, 0);
  const single = [filters.price_min !== null, filters.price_max !== null, filters.gender !== null, filters.in_stock];
  return listed + single.filter(Boolean).length;
}

/** The request's `rules`: what isn't set isn't sent. @param {Filters} filters */
export function rulesOf(filters) {
  const rules = Object.fromEntries(LISTS.filter((name) => filters[name].length).map((name) => [name, filters[name]]));
  const prices = [filters.price_min, filters.price_max];
  if (prices.every((price) => price !== null)) prices.sort((one, other) => one - other); // However they were typed.
  if (prices[0] !== null) rules.price_min = prices[0];
  if (prices[1] !== null) rules.price_max = prices[1];
  if (filters.gender !== null) rules.gender = filters.gender;
  if (filters.in_stock) rules.in_stock = true;
  const weather = [filters.degrees === null ? "" : `${filters.degrees} ${filters.unit}`, ...filters.weather].filter(Boolean);
  if (filters.occasion.length) rules.occasion = filters.occasion.join(", ");
  if (weather.length) rules.weather = weather.join(", ");
  if (filters.wish.trim()) rules.wish = filters.wish.trim();
  for (const name of ["pinned", "excluded"]) {
    if (filters[name].length) rules[name] = filters[name].map((item) => item.id);
  }
  return rules;
}

/** Rules for looks, where a category that is asked for or an item that is pinned would make every look the same. */
export function rulesForLooks(filters) {
  const { want, pinned, ...rules } = rulesOf(filters);
  return rules;
}

/** Whether something is wished that a look can be built for without an item. @param {Filters} filters */
export const isWished = (filters) => Boolean(filters.wish.trim() || filters.occasion.length || filters.weather.length || filters.degrees !== null);

/** Whether a rule was set as a filter; else a wish in words gave it. @param {string} name @param {Filters} filters */
export const isSet = (name, filters) => name in filters && JSON.stringify(filters[name]) !== JSON.stringify(noFilters()[name]);

/** Takes a rule back; of occasions and weather the one that its words name. @param {{name: string, rule: string}} rule */
export function dropFilter({ name, rule }) {
  const { filters } = read().saved;
  if (name === "weather" && filters.degrees !== null && /\d/.test(rule)) setFilters({ degrees: null });
  else if (!isSet(name, filters)) setFilters({ wish: "" });
  else if (name === "occasion" || name === "weather") flip(name, rule);
  else setFilters({ [name]: noFilters()[name] });
}
