/** What the server refuses of a request: that piece is left out with its sentence, and the rest is judged again. */

import { unmark } from "../core/filters.js";
import { t } from "../core/i18n.js";
import { notify } from "../core/items.js";
import { given, isKnown } from "../core/labels.js";
import { read, update } from "../core/store.js";
import { useEffect } from "../core/ui.js";

/** @typedef {import("../core/types.js").Item} Item */
/** @typedef {import("../core/types.js").Refusal} Refusal */

const PIECE = /^items\[(\d+)\]/;
const PINNED = /^rules\.pinned\[(\d+)\]/;

/**
 * Why the server refuses the item as it is now; null where it doesn't. An item that was changed, or a server that came
 * back, perhaps with another catalogue, is asked again.
 * @param {Item} item @param {Record<string, Refusal>} refused By uid. @param {number} epoch
 */
export function refusalOf(item, refused, epoch) {
  const refusal = refused[item.uid];
  return refusal && refusal.epoch === epoch && refusal.of === JSON.stringify(given(item)) ? refusal.error : null;
}

/** Whether it goes into requests. @param {Item} item @param {Record<string, Refusal>} refused @param {number} epoch */
export const isJudged = (item, refused, epoch) => isKnown(item) && !refusalOf(item, refused, epoch);

/**
 * Takes what an error names out of the next request.
 * @param {import("../core/answers.js").Answered} answered @param {any} body Of the request as it is now.
 * @param {Item[]} items Those in it.
 * @returns {any} The error if nothing could be taken out, which is then the whole request's; else null.
 */
export function useRefusals({ error, failed }, body, items) {
  const isOf = error && failed === JSON.stringify(body);
  const item = isOf ? items[Number(PIECE.exec(error.field)?.[1] ?? NaN)] : undefined;
  const pinned = isOf ? read().saved.filters.pinned[Number(PINNED.exec(error.field)?.[1] ?? NaN)] : undefined;
  useEffect(() => {
    if (item) refuse(item, error);
    if (pinned) {
      unmark("pinned", pinned.id);
      notify(t("notice.unpinned", { name: pinned.title }));
    }
  }, [error]);
  return item || pinned || isStale(error, isOf) ? null : error;
}

/** What was said of a piece or a pinned item that the request doesn't have any more. */
const isStale = (error, isOf) => Boolean(error && !isOf && (PIECE.test(error.field) || PINNED.test(error.field)));

function refuse(item, error) {
  const { refused, epoch } = read();
  update({ refused: { ...refused, [item.uid]: { of: JSON.stringify(given(item)), epoch, error } } });
}
