/** An item's photo, wherever it is kept; without one, what it is in words. */

import { photoBlob, token } from "../core/api.js";
import { keptPhoto } from "../core/keeping.js";
import { nameOf } from "../core/labels.js";
import { html, useEffect, useState } from "../core/ui.js";
import { Icon } from "./icons.js";

/** @type {Map<string, Promise<string | null>>} Made once for the life of the page. */
const urls = new Map();

const urlOf = (key, find) => {
  if (!urls.has(key)) {
    const found = find().then((blob) => (blob ? URL.createObjectURL(blob) : null), () => null);
    urls.set(key, found);
    found.then((url) => url ?? urls.delete(key));
  }
  return urls.get(key);
};

/** @param {import("../core/types.js").Item} item @param {number} size Of the longer side, in pixels. */
function find(item, size) {
  if (item.photo) return urlOf(item.photo, () => keptPhoto(item.photo));
  if (!item.photoPath) return null;
  const path = `${item.photoPath}?size=${size}`;
  return token() ? urlOf(path, () => photoBlob(path)) : path;
}

/** @param {{item: import("../core/types.js").Item, size?: number, named?: boolean}} props `named`: the name is not beside it. */
export function Photo({ item, size = 480, named = false }) {
  const [url, setUrl] = useState(/** @type {string | null} */ (null));
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let isHere = true;
    setFailed(false);
    Promise.resolve(find(item, size)).then((found) => isHere && setUrl(found));
    return () => {
      isHere = false;
    };
  }, [item.photo, item.photoPath, size]);
  const name = nameOf(item);
  if (url && !failed) {
    const hasFailed = () => setFailed(true);
    return html`<img class="photo" src=${url} alt=${named ? name : ""} loading="lazy" decoding="async" onError=${hasFailed} />`;
  }
  return html`<span class="photo photo--none">
    <${Icon} name="hanger" /><span class=${named ? "" : "unseen"} aria-hidden=${!named}>${name}</span>
  </span>`;
}
