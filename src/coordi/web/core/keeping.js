/** The browser's own keeping: the state under one key, photos under their hashes, in IndexedDB. */

import { createStore, del, get, keys, promisifyRequest } from "../vendor/idb-keyval.js";
import { nothingSaved, noFilters, read, update, watch } from "./store.js";

const database = createStore("coordi", "kept");
const STATE = "state";
const PHOTO = "photo:";
const channel = "BroadcastChannel" in window ? new BroadcastChannel("coordi") : null;
let writing = Promise.resolve();

/** Reads what was kept and keeps every change from now on, in every tab. */
export async function startKeeping() {
  /** @type {import("./types.js").Saved | undefined} What the database holds; set before anybody is told of it. */
  let written;
  const load = async () => {
    const before = read().saved;
    const found = await kept();
    if (read().saved !== before) return; // changed here meanwhile, which was written after what was found
    written = found;
    update({ saved: found });
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
    writing = put(STATE, saved).then(() => channel?.postMessage("changed"), () => update({ keepsNothing: true }));
  });
  channel?.addEventListener("message", load);
  await forgetUnusedPhotos();
}

/** Resolves once what was changed until now lies in the database, or nothing can be kept. */
export const isWritten = () => writing;

/**
 * Not idb-keyval's `set`, which leaves it to the browser when to commit: a page that is reloaded in between loses the change.
 * @param {string} key @param {unknown} value
 */
function put(key, value) {
  return database("readwrite", (store) => {
    store.put(value, key);
    store.transaction.commit();
    return promisifyRequest(store.transaction);
  });
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
  await put(PHOTO + hash, blob).catch(() => update({ keepsNothing: true }));
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
