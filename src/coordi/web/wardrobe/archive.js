/** Everything that is kept, as one ZIP: `wardrobe.json` and `photos/<sha256>.jpg`; and back, trusting nothing in it. */

import { strFromU8, strToU8, Unzip, UnzipInflate, unzipSync, zipSync } from "../vendor/fflate.js";
import { keepPhoto, keptPhoto } from "../core/keeping.js";
import { decode, hashOf } from "../core/photos.js";
import { read, save } from "../core/store.js";
import { checkWardrobe } from "./checking.js";

export const FORMAT = "coordi-wardrobe";
export const VERSION = 1;
export const CONTENT = "wardrobe.json";
const PHOTO_PATH = /^photos\/([0-9a-f]{64})\.jpg$/;
const MOST_ZIP_BYTES = 300e6;
const MOST_BYTES = 500e6;
const MOST_PHOTO_BYTES = 5e6;
const MOST_CONTENT_BYTES = 20e6;
const MOST_FILES = 5000;
const PART_BYTES = 16384; // Unpacked, a thousand times as many at most.

/** An archive that can't be taken in; `reason` is the last part of an i18n key. */
export class ArchiveError extends Error {
  /** @param {"zip" | "content" | "version" | "large"} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** What is kept, as the files of an archive by their paths. @returns {Promise<Record<string, Uint8Array>>} */
export async function filesOfAll() {
  const { items, kept, pieces } = read().saved;
  const content = { format: FORMAT, version: VERSION, made: new Date().toISOString(), items: Object.values(items), pieces, kept };
  const files = { [CONTENT]: strToU8(JSON.stringify(content, null, 1)) };
  for (const item of [...content.items, ...kept.flatMap((look) => look.items)]) {
    const path = `photos/${item.photo}.jpg`;
    if (!item.photo || path in files) continue;
    const blob = await keptPhoto(item.photo);
    if (blob) files[path] = new Uint8Array(await blob.arrayBuffer());
  }
  return files;
}

/** @returns {Promise<Blob>} */
export async function exportAll() {
  return new Blob([zipSync(await filesOfAll(), { level: 0 })], { type: "application/zip" }); // JPEGs don't get smaller.
}

/**
 * Adds what an archive holds to what is here; what is here already stays as it is.
 * @param {Blob} file
 * @returns {Promise<{items: number, looks: number, known: number, broken: number}>} What was new, known, left out.
 */
export async function importArchive(file) {
  if (file.size > MOST_ZIP_BYTES) throw new ArchiveError("large");
  return importFiles(unpack(new Uint8Array(await file.arrayBuffer())));
}

/** @param {Uint8Array} bytes @returns {Record<string, Uint8Array>} Only what an archive of ours may hold. */
function unpack(bytes) {
  const files = {};
  let [count, sum] = [0, 0];
  // Sizes that an archive claims may be lies, and its files may overlap: what comes out is counted while it comes.
  const take = (file) => {
    const most = file.name === CONTENT ? MOST_CONTENT_BYTES : PHOTO_PATH.test(file.name) ? MOST_PHOTO_BYTES : 0;
    if (!most) return;
    count += 1;
    if (count > MOST_FILES) throw new ArchiveError("large");
    const parts = [];
    let size = 0;
    file.ondata = (error, part, isLast) => {
      if (error) throw error;
      size += part.length;
      sum += part.length;
      if (size > most || sum > MOST_BYTES) throw new ArchiveError("large");
      parts.push(part);
      if (isLast) files[file.name] = joined(parts, size);
    };
    file.start();
  };
  try {
    unzipSync(bytes, { filter: () => false }); // Only looks whether it is a ZIP, to its end.
    const unzip = new Unzip(take);
    unzip.register(UnzipInflate);
    for (let start = 0; start < bytes.length; start += PART_BYTES) {
      unzip.push(bytes.subarray(start, start + PART_BYTES), start + PART_BYTES >= bytes.length);
    }
  } catch (error) {
    throw error instanceof ArchiveError ? error : new ArchiveError("zip");
  }
  return files;
}

function joined(parts, size) {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** @param {Record<string, Uint8Array>} files By path, as `filesOfAll` makes them. */
export async function importFiles(files) {
  const content = parse(files[CONTENT]);
  const { items, pieces, kept, broken } = checkWardrobe(content);
  const wanted = [...items, ...kept.flatMap((look) => look.items)];
  const photos = await takePhotos(files, new Set(wanted.map((item) => item.photo).filter(Boolean)));
  const isWhole = (item) => !item.photo || photos.has(item.photo);
  const here = read().saved;
  const whole = items.filter(isWhole);
  const newItems = whole.filter((item) => !(item.uid in here.items));
  const newLooks = kept.filter((look) => look.items.every(isWhole) && !here.kept.some((one) => one.uid === look.uid));
  const onTable = pieces.filter(({ uid }) => newItems.some((item) => item.uid === uid));
  save((now) => ({
    items: { ...Object.fromEntries(newItems.map((item) => [item.uid, item])), ...now.items },
    kept: [...now.kept, ...newLooks].sort((one, other) => other.added - one.added),
    pieces: [...now.pieces, ...onTable.map(({ uid }) => ({ uid, on: false }))],
  }));
  const looksWhole = kept.filter((look) => look.items.every(isWhole)).length;
  return {
    items: newItems.filter((item) => item.kind !== "catalogue").length,
    looks: newLooks.length,
    known: whole.length - newItems.length + looksWhole - newLooks.length,
    broken: broken + items.length - whole.length + kept.length - looksWhole,
  };
}

function parse(bytes) {
  if (!bytes) throw new ArchiveError("content");
  let content;
  try {
    content = JSON.parse(strFromU8(bytes));
  } catch {
    throw new ArchiveError("content");
  }
  if (content?.format !== FORMAT) throw new ArchiveError("content");
  if (content.version !== VERSION) throw new ArchiveError("version");
  return content;
}

/** Keeps the photos that are wanted and are what they say they are. */
async function takePhotos(files, wanted) {
  const photos = new Set();
  for (const hash of wanted) {
    const bytes = files[`photos/${hash}.jpg`];
    if (await keptPhoto(hash)) photos.add(hash);
    else if (bytes && bytes.length <= MOST_PHOTO_BYTES && (await isPhoto(bytes, hash))) {
      await keepPhoto(hash, new Blob([bytes], { type: "image/jpeg" }));
      photos.add(hash);
    }
  }
  return photos;
}

async function isPhoto(bytes, hash) {
  const blob = new Blob([bytes], { type: "image/jpeg" });
  try {
    (await decode(blob)).close();
    return (await hashOf(blob)) === hash;
  } catch {
    return false;
  }
}
