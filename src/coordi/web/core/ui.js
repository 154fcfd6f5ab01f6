/** What components are written with: Preact by its hooks, and `html` templates. */

import htm from "../vendor/htm.js";
import { h } from "../vendor/preact.js";

export { Fragment, createPortal, render } from "../vendor/preact.js";
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";

export const html = htm.bind(h);

/**
 * Class names that hold.
 * @param {...(string | false | null | undefined)} names
 */
export const classes = (...names) => names.filter(Boolean).join(" ");
