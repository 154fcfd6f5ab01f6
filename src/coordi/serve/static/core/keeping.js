/** The browser's own keeping: the state under one key, photos under their hashes, in IndexedDB. */

import { createStore, del, get, keys, set } from "../vendor/idb-keyval.js";
import { nothingSaved, noFilters, read, update, watch } from "./store.js";

const database = createStore("coordi", "kept");
const STATE = "state";
const PHOTO = "photo:";
const channel = "BroadcastChannel" in window ? new BroadcastChannel("coordi") : null;

/** Reads what was kept and keeps every change from now on, in every tab. */
export async function startKeeping() {
  /** @type {import("./types.js").Saved | undefined} What the database holds; set before anybody is told of it. */
  let written;
  const load = async () => {
    written = await kept();
    update({ saved: written });
  };
  try {
    await load();
  } catch {
    update({ keepsNothing: true });
    return;
  }
  watch(() => {
    const { saved } = read();
    if (saved === written) return;
    written = saved;
    set(STATE, saved, database).then(() => channel?.postMessage("changed"), () => update({ keepsNothing: true }));
  });
  channel?.addEventListener("message", load);
  await forgetUnusedPhotos();
}

/** @returns {Promise<import("./types.js").Saved>} */
async function kept() {
  const found = (await get(STATE, database)) ?? {};
  return { ...nothingSaved(), ...found, filters: { ...noFilters(), ...found.filters } };
}

/** @type {Map<string, Blob>} Where the browser keeps nothing (a private window), photos last as long as the tab. */
const inMemory = new Map();

/** @param {string} hash @param {Blob} blob */
export async function keepPhoto(hash, blob) {
  inMemory.set(hash, blob);
  await set(PHOTO + hash, blob, database).catch(() => update({ keepsNothing: true }));
}

/** @param {string} hash @returns {Promise<Blob | undefined>} */
export async function keptPhoto(hash) {
  const found = inMemory.get(hash) ?? (await get(PHOTO + hash, database).catch(() => undefined));
  return found instanceof Blob ? found : undefined;
}

/** Photos that neither the wardrobe nor a kept look shows any more: gone when the page is next opened, so undo works. */
async function forgetUnusedPhotos() {
  const { items, kept } = read().saved;
  const used = new Set([...Object.values(items), ...kept.flatMap((look) => look.items)].map((item) => item.photo));
  const photos = (await keys(database)).filter((key) => String(key).startsWith(PHOTO));
  for (const key of photos) {
    if (!used.has(String(key).slice(PHOTO.length))) await del(key, database);
  }
}
