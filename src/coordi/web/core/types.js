/**
 * The shapes that the page's modules hand to each other. Nothing runs here.
 *
 * @typedef {{text: string, probability: number | null}} Label What is said of an item; null where the user said it.
 *
 * @typedef {{values: string[], source: "user" | "shop" | "title" | "photo" | "kind"}} Fact What is known of an item, and who
 *   says it; `kind`: it is usual for an item of this kind.
 *
 * @typedef {object} Item
 * @property {string} uid `p-` and the photo's hash, `w-` and the words' hash, or `c-` and the catalogue's id: the same
 *   thing has the same one everywhere.
 * @property {"photo" | "words" | "catalogue"} kind
 * @property {string} title The user's own words, or the catalogue's title.
 * @property {string | null} category Null until it is known.
 * @property {Record<string, Label[]>} attributes
 * @property {boolean} corrected A user changed what was seen.
 * @property {string} [photo] SHA-256 of its kept photo.
 * @property {string} [embedding] Of its photo, by `encoder`: photos are compared by it.
 * @property {string} [encoder]
 * @property {string} [id] Of the catalogue.
 * @property {string} [photoPath] Of the catalogue's photo on the server.
 * @property {number | null} [price]
 * @property {string} [brand]
 * @property {number} added Milliseconds since 1970.
 *
 * @typedef {{uid: string, on: boolean}} Piece One item on the table, and whether it is part of the outfit.
 *
 * @typedef {object} Kept A look that was kept.
 * @property {string} uid
 * @property {string} name
 * @property {number | null} score P(yes), or null if it was never scored.
 * @property {string} judge
 * @property {Item[]} items
 * @property {number} added
 *
 * @typedef {object} Filters What goes into the request's `rules`.
 * @property {string[]} want
 * @property {string[]} unwanted
 * @property {number | null} price_min
 * @property {number | null} price_max
 * @property {string[]} brands
 * @property {string[]} unwanted_brands
 * @property {string[]} colours
 * @property {string[]} unwanted_colours
 * @property {string | null} gender
 * @property {string[]} seasons
 * @property {boolean} in_stock
 * @property {{id: string, title: string}[]} pinned
 * @property {{id: string, title: string}[]} excluded
 * @property {string[]} occasion
 * @property {string[]} weather Of rain, snow, wind.
 * @property {number | null} degrees
 * @property {string} unit Of `degrees`: C or F.
 * @property {string} wish In the user's own words.
 *
 * @typedef {object} Saved What the browser keeps.
 * @property {Record<string, Item>} items By uid: the wardrobe, and catalogue items on the table.
 * @property {Piece[]} pieces
 * @property {Kept[]} kept
 * @property {Filters} filters
 *
 * @typedef {{of: string, epoch: number, error: any}} Refusal Why the server can't judge an item; `of`: what it was given, as
 *   JSON, by the server that was there at `epoch`.
 *
 * @typedef {object} Upload A photo on its way in.
 * @property {string} key
 * @property {string} name Of the file.
 * @property {"reading" | "seeing" | "failed"} stage
 * @property {Blob} file
 * @property {any} [error]
 *
 * @typedef {object} Notice A sentence at the foot of the page.
 * @property {string} text
 * @property {() => void} [undo]
 */

export {};
