/** What the page knows, in one place: read by `useStore`, changed by `update`, told to whoever looks. */

import { useEffect, useState } from "./ui.js";

/** @typedef {import("./types.js").Saved} Saved */
/** @typedef {import("./types.js").Upload} Upload */
/** @typedef {import("./types.js").Notice} Notice */

/** @returns {import("./types.js").Filters} */
export const noFilters = () => ({
  want: [], unwanted: [], price_min: null, price_max: null, brands: [], unwanted_brands: [], colours: [],
  unwanted_colours: [], gender: null, seasons: [], in_stock: false, pinned: [], excluded: [], occasion: [],
  weather: [], degrees: null, unit: "C", wish: "",
});

/** @returns {Saved} */
export const nothingSaved = () => ({ items: {}, pieces: [], kept: [], filters: noFilters() });

const state = {
  saved: nothingSaved(),
  /** @type {any} The answer of `vocabulary`; null until it came. */
  vocabulary: null,
  /** @type {any} The answer of `ready`; null until it came. */
  ready: null,
  /** @type {"starting" | "loading" | "ready" | "signed-out" | "unreachable"} */
  server: "starting",
  /** Counts the server's returns, so that what failed is asked again. */
  epoch: 0,
  /** The server is asked again after it was too busy. */
  busy: false,
  /** @type {Upload[]} */
  uploads: [],
  /** @type {Record<string, import("./types.js").Refusal>} By uid: items that the server refused. */
  refused: {},
  /** @type {Notice | null} */
  notice: null,
  /** The browser keeps nothing: a private window, or its storage is full. */
  keepsNothing: false,
  quick: localStorage.getItem("coordi-quick") === "yes",
  language: "en",
};

/** @type {Set<() => void>} */
const watchers = new Set();

export const read = () => state;

/** @param {Partial<typeof state>} change */
export function update(change) {
  Object.assign(state, change);
  watchers.forEach((watcher) => watcher());
}

/** @param {() => void} watcher Called after every change. Returns how to stop. */
export function watch(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/**
 * What is kept in the browser, changed: a function of the old gives what is different.
 * @param {(saved: Saved) => Partial<Saved>} change
 */
export const save = (change) => update({ saved: { ...state.saved, ...change(state.saved) } });

/**
 * A part of the state; the component is drawn again when it changes.
 * @template T
 * @param {(now: typeof state) => T} pick
 * @returns {T}
 */
export function useStore(pick) {
  const [, redraw] = useState(0);
  const picked = pick(state);
  useEffect(() => {
    let last = picked;
    const look = () => {
      const next = pick(state);
      if (!Object.is(next, last)) redraw((count) => count + 1);
      last = next;
    };
    look();
    return watch(look);
  });
  return picked;
}
