/** Looks around items of the catalogue, for somebody who hasn't shown anything yet. */

import { ask } from "../core/api.js";
import { t } from "../core/i18n.js";
import { fromCatalogue } from "../core/items.js";
import { useStore } from "../core/store.js";
import { html, useEffect, useState } from "../core/ui.js";
import { Trouble } from "../shared/trouble.js";
import { LookCard } from "./look.js";

const LOOKS = 3;
const PAGE = 50;
/** What a look is best made around; the rest follows. */
const AROUND = ["top", "dress", "outerwear", "bottom", "shoes", "bag"];

export function OpeningLooks() {
  const { looks, error, pending, again } = useOpeningLooks();
  if (!looks.length && !pending && !error) return null;
  return html`<section class="opening-looks" aria-labelledby="opening-looks" aria-busy=${pending}>
    <h2 id="opening-looks">${t("opening.looks")}</h2>
    <p class="quiet" role="status">${pending ? t("looks.pending") : t("opening.looks.what")}</p>
    <${Trouble} error=${error} again=${again} />
    <ul class="looks" role="list">
      ${looks.map((one) => html`<li key=${one.around.uid}><${LookCard} look=${one.look} around=${one.around} judge=${one.judge} /></li>`)}
    </ul>
    ${!pending && looks.length > 0 && html`<p class="completing__more"><a class="button" href="#looks">${t("opening.looks.more")}</a></p>`}
  </section>`;
}

/** @type {Map<string, any[]>} What was found, so that coming back to the opening doesn't ask again. */
const found = new Map();

function useOpeningLooks() {
  const quick = useStore((state) => state.quick);
  const epoch = useStore((state) => state.epoch);
  const [state, setState] = useState({ looks: /** @type {any[]} */ ([]), error: null, pending: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const key = `${quick} ${epoch}`;
    if (found.has(key)) {
      setState({ looks: found.get(key), error: null, pending: false });
      return undefined;
    }
    const stop = new AbortController();
    const show = (looks) => setState({ looks, error: null, pending: true });
    findLooks(quick, stop.signal, show).then(
      (looks) => {
        found.set(key, looks);
        setState({ looks, error: null, pending: false });
      },
      (error) => stop.signal.aborted || setState((had) => ({ ...had, error, pending: false })),
    );
    return () => stop.abort();
  }, [quick, epoch, turn]);
  return { ...state, again: () => setTurn((count) => count + 1) };
}

/** One look around an item of each of some categories, one after the other so that the first is there soon. */
async function findLooks(quick, signal, show) {
  let looks = [];
  for (const category of AROUND) {
    const { items } = await ask(`catalogue/items?${new URLSearchParams({ category, limit: String(PAGE) })}`, { signal });
    if (!items.length) continue;
    const withPhoto = items.filter((item) => item.photo);
    const choices = withPhoto.length ? withPhoto : items;
    const shown = choices[Math.floor(Math.random() * choices.length)];
    const answer = await ask("looks", { body: { around: { id: shown.id }, k: 1, language_model: !quick }, signal });
    const [look] = answer.looks;
    if (look) looks = [...looks, { look, judge: answer.judge, around: fromCatalogue(shown) }];
    if (looks.length) show(looks);
    if (looks.length === LOOKS) break;
  }
  return looks;
}
