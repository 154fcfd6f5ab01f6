/** Photos made small in the browser before anything else is done with them. */

import { sha256 } from "../vendor/sha2.js";

const LONGEST_SIDE = 768;
const QUALITY = 0.88;
const MOST_BYTES = 60e6;

/** A photo that can't be read; `reason` is the last part of an i18n key. */
export class PhotoError extends Error {
  /** @param {"empty" | "large" | "unreadable"} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * A JPEG of at most 768 pixels a side, upright, without the camera's notes (place, time).
 * @param {Blob} file
 * @returns {Promise<{blob: Blob, hash: string}>}
 */
export async function shrink(file) {
  if (!file.size) throw new PhotoError("empty");
  if (file.size > MOST_BYTES) throw new PhotoError("large");
  const picture = await decode(file);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // A cut-out on a transparent ground is shown by shops on white.
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  if (!blob) throw new PhotoError("unreadable");
  return { blob, hash: await hashOf(blob) };
}

/** SHA-256 in hexadecimal. Not by `crypto.subtle`, which a page that isn't on localhost or https hasn't. */
export async function hashOf(blob) {
  return hex(sha256(new Uint8Array(await blob.arrayBuffer())));
}

/** @param {string} text */
export const hashOfText = (text) => hex(sha256(new TextEncoder().encode(text)));

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {Blob} file */
export async function decode(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new PhotoError("unreadable");
  }
}

/** Photos among what was dropped or pasted. @param {DataTransfer | null} transfer */
export function photosOf(transfer) {
  return Array.from(transfer?.files ?? []);
}
