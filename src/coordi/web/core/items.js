/** What can be done with items: add, correct, put on the table, take off, forget. */

import { ask } from "./api.js";
import { t } from "./i18n.js";
import { keepPhoto } from "./keeping.js";
import { hashOfText, shrink } from "./photos.js";
import { read, save, update } from "./store.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Upload} Upload */

const AT_ONCE = 3;
const UID_HEX = 32;

export const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {string} text @param {() => void} [undo] */
export const notify = (text, undo) => update({ notice: { text, undo } });

export const mostItems = () => read().vocabulary?.limits.items ?? 12;

/** Photos one by one, some at a time; what is wrong with one is said of that one. @param {Blob[]} files */
export async function addPhotos(files) {
  const uploads = files.map((file) => ({ key: newId(), name: file.name ?? "", stage: "reading", file }));
  update({ uploads: [...read().uploads, ...uploads] });
  const queue = [...uploads];
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await takeIn(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** @param {Upload} upload */
export async function takeIn(upload) {
  try {
    setUpload(upload.key, { stage: "reading", error: undefined });
    const { blob, hash } = await shrink(upload.file);
    const uid = `p-${hash.slice(0, UID_HEX)}`;
    if (!(uid in read().saved.items)) {
      setUpload(upload.key, { stage: "seeing" });
      const item = { ...(await seen(blob)), uid, photo: hash };
      await keepPhoto(hash, blob);
      putItem(item);
    } else notify(t("notice.known"));
    putOnTable(uid);
    dropUpload(upload.key);
  } catch (error) {
    setUpload(upload.key, { stage: "failed", error });
  }
}

/** @param {Blob} blob @returns {Promise<Omit<Item, "uid">>} */
async function seen(blob) {
  const form = new FormData();
  form.append("photo", blob, "photo.jpg");
  const answer = await ask("describe", { form });
  return {
    kind: "photo", title: "", category: answer.category, attributes: answer.attributes, corrected: false, added: Date.now(),
    embedding: answer.embedding, encoder: answer.encoder,
  };
}

/** @param {string} words */
export function addWords(words) {
  const title = words.trim().replace(/\s+/g, " ");
  if (!title) return;
  const uid = `w-${hashOfText(title.toLowerCase()).slice(0, UID_HEX)}`;
  if (!(uid in read().saved.items)) {
    putItem({ uid, kind: "words", title, category: null, attributes: {}, corrected: false, added: Date.now() });
  }
  putOnTable(uid);
}

/** An item of the catalogue as an answer shows it. @returns {Item} */
export function fromCatalogue(shown) {
  return {
    uid: `c-${shown.id}`, kind: "catalogue", id: shown.id, title: shown.title, category: shown.category,
    attributes: shown.attributes, corrected: false, photoPath: shown.photo ?? undefined, price: shown.price,
    brand: shown.brand, added: Date.now(),
  };
}

export function addFromCatalogue(shown) {
  const item = fromCatalogue(shown);
  putItem(item);
  putOnTable(item.uid);
}

/** Whole looks: what was on the table makes room, and stays beside it, put aside. @param {Item[]} items */
export function wear(items) {
  const before = read().saved.pieces;
  const uids = new Set(items.map((item) => item.uid));
  save(({ items: known, pieces }) => ({
    items: { ...known, ...Object.fromEntries(items.map((item) => [item.uid, known[item.uid] ?? item])) },
    pieces: [
      ...items.map(({ uid }) => ({ uid, on: true })),
      ...pieces.filter(({ uid }) => !uids.has(uid) && known[uid]?.kind !== "catalogue").map(({ uid }) => ({ uid, on: false })),
    ],
  }));
  notify(t("notice.worn"), () => save(() => ({ pieces: before })));
}

/** @param {Item} item */
export const putItem = (item) => save(({ items }) => ({ items: { ...items, [item.uid]: item } }));

/** @param {string} uid @param {Partial<Item>} change */
export const changeItem = (uid, change) =>
  save(({ items }) => (uid in items ? { items: { ...items, [uid]: { ...items[uid], ...change } } } : {}));

/** @param {string} uid */
export function putOnTable(uid) {
  const { pieces } = read().saved;
  const others = pieces.filter((piece) => piece.uid !== uid);
  const on = others.filter((piece) => piece.on).length < mostItems();
  if (!on) notify(t("notice.full", { n: mostItems() }));
  save(() => ({ pieces: pieces.some((piece) => piece.uid === uid) ? pieces.map((piece) => (piece.uid === uid ? { uid, on } : piece)) : [...others, { uid, on }] }));
}

/** @param {string} uid @param {boolean} on */
export function toggle(uid, on) {
  if (on) putOnTable(uid);
  else save(({ pieces }) => ({ pieces: pieces.map((piece) => (piece.uid === uid ? { uid, on } : piece)) }));
}

/** @param {string} uid */
export function takeOffTable(uid) {
  const { pieces } = read().saved;
  save(() => ({ pieces: pieces.filter((piece) => piece.uid !== uid) }));
  notify(t(uid.startsWith("c-") ? "notice.off.catalogue" : "notice.off"), () => save(() => ({ pieces })));
}

/** Out of the wardrobe and off the table; kept looks keep their own. @param {string} uid */
export function forget(uid) {
  const { items, pieces } = read().saved;
  const { [uid]: gone, ...others } = items;
  save(() => ({ items: others, pieces: pieces.filter((piece) => piece.uid !== uid) }));
  notify(t("notice.forgotten"), () => save((now) => ({ items: { ...now.items, [uid]: gone }, pieces })));
}

/** @param {string} key */
export const dropUpload = (key) => update({ uploads: read().uploads.filter((upload) => upload.key !== key) });

const setUpload = (key, change) =>
  update({ uploads: read().uploads.map((upload) => (upload.key === key ? { ...upload, ...change } : upload)) });
