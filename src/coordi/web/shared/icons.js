/** Drawn signs, hidden from screen readers: beside every one stands a word or an accessible name. */

import { html } from "../core/ui.js";

const PATHS = {
  add: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 16.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  hanger: "M9.6 7a2.4 2.4 0 1 1 3.2 2.260c-.5.2-.8.6-.8 1.100v.64l8.600 5.500c1 .7.5 2.200-.7 2.200H4.100c-1.200 0-1.700-1.500-.7-2.200L12 11",
  heart: "M12 20s-7.500-4.700-7.500-10A4.300 4.300 0 0 1 12 7.200 4.300 4.300 0 0 1 19.500 10c0 5.300-7.500 10-7.500 10z",
  pin: "M9 4h6l-1 6 3 3v2H7v-2l3-3zM12 15v6",
  hide: "M4 4l16 16M9.500 5.500A10 10 0 0 1 12 5.200c5 0 8.500 4.300 9.500 6.800a13 13 0 0 1-2.600 3.700M6 7.200A13.500 13.500 0 0 0 2.500 12c1 2.500 4.500 6.800 9.500 6.800 1.700 0 3.200-.5 4.500-1.200",
  sliders: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.500v5M9 14.500v5",
  search: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM15.500 15.500L20 20",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600L7 7M17 17l1.400 1.400M5.600 18.400L7 17M17 7l1.400-1.400",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  bin: "M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13",
  words: "M5 6h14M5 12h14M5 18h8",
  check: "M5 12.500l4.500 4.500L19 7.500",
  warning: "M12 4l9 16H3zM12 10v4.500M12 17v.5",
};

/** @param {{name: keyof typeof PATHS}} props */
export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
