/** What an archive says, checked field by field: what is sound is made anew, the rest is left out and counted. */

/** @typedef {import("../core/types.js").Item} Item */
/** @typedef {import("../core/types.js").Kept} Kept */

const UID = /^(p-[0-9a-f]{32}|w-[0-9a-f]{32}|c-.{1,200})$/s;
const LOOK_UID = /^l-[0-9a-f]{24}$/;
const PHOTO = /^[0-9a-f]{64}$/;
const WORD = /^[a-z]{1,30}$/;
const KINDS = { p: "photo", w: "words", c: "catalogue" };
const MOST_ENTRIES = 5000;
const MOST_IN_LOOK = 30;

/** @param {any} content @returns {{items: Item[], pieces: {uid: string, on: boolean}[], kept: Kept[], broken: number}} */
export function checkWardrobe(content) {
  const [items, brokenItems] = each(content.items, checkItem);
  const [kept, brokenLooks] = each(content.kept, checkLook);
  const [pieces] = each(content.pieces, (piece) => (isText(piece?.uid, 210) ? { uid: piece.uid, on: piece.on === true } : null));
  return { items, pieces, kept, broken: brokenItems + brokenLooks };
}

function each(given, check) {
  if (given === undefined) return [[], 0];
  if (!Array.isArray(given)) return [[], 1];
  const checked = given.slice(0, MOST_ENTRIES).map(check);
  const sound = checked.filter((one) => one !== null);
  return [[...new Map(sound.map((one) => [one.uid, one])).values()], given.length - sound.length];
}

/** @returns {Item | null} */
function checkItem(given) {
  if (!isObject(given) || !isText(given.uid, 210) || !UID.test(given.uid)) return null;
  const kind = KINDS[given.uid[0]];
  const isSound =
    given.kind === kind && isText(given.title ?? "", 300) && (given.category === null || WORD.test(given.category)) &&
    (kind !== "photo" || (PHOTO.test(given.photo) && given.uid === `p-${given.photo.slice(0, 32)}`)) &&
    (kind !== "words" || given.title.trim()) && (kind !== "catalogue" || (given.uid === `c-${given.id}` && given.category));
  const attributes = checkAttributes(given.attributes ?? {});
  if (!isSound || !attributes) return null;
  const item = {
    uid: given.uid, kind, title: given.title ?? "", category: given.category, attributes, corrected: given.corrected === true, added: time(given.added),
  };
  if (kind === "photo") return { ...item, photo: given.photo };
  if (kind === "words") return item;
  return {
    ...item, id: given.id, photoPath: isText(given.photoPath, 700) && given.photoPath.startsWith("/api/v1/catalogue/photos/") ? given.photoPath : undefined,
    price: Number.isFinite(given.price) ? given.price : null, brand: isText(given.brand, 100) ? given.brand : "",
  };
}

function checkAttributes(given) {
  if (!isObject(given) || Object.keys(given).length > 20) return null;
  const entries = Object.entries(given).map(([name, labels]) => [name, isText(name, 60) && Array.isArray(labels) ? labels.slice(0, 10).map(checkLabel) : [null]]);
  if (entries.some(([, labels]) => labels.includes(null))) return null;
  return Object.fromEntries(entries);
}

function checkLabel(given) {
  if (!isObject(given) || !isText(given.text, 60) || !given.text) return null;
  const { probability } = given;
  if (probability !== null && !(probability >= 0 && probability <= 1)) return null;
  return { text: given.text, probability };
}

/** @returns {Kept | null} */
function checkLook(given) {
  if (!isObject(given) || !isText(given.uid, 40) || !LOOK_UID.test(given.uid) || !isText(given.name, 80) || !given.name) return null;
  const [items, broken] = each(given.items, checkItem);
  const isScore = given.score === null || (given.score >= 0 && given.score <= 1);
  if (broken || !items.length || items.length > MOST_IN_LOOK || !isScore) return null;
  return { uid: given.uid, name: given.name, score: given.score, judge: isText(given.judge, 40) ? given.judge : "", items, added: time(given.added) };
}

const isObject = (given) => typeof given === "object" && given !== null && !Array.isArray(given);
const isText = (given, most) => typeof given === "string" && given.length <= most;
const time = (given) => (Number.isFinite(given) && given > 0 && given < 1e14 ? given : Date.now());
