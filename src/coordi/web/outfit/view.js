/** The table: what lies on it, how it goes together, and what would complete it. */

import { useAnswer } from "../core/answers.js";
import { t } from "../core/i18n.js";
import { changeItem } from "../core/items.js";
import { given } from "../core/labels.js";
import { read, useStore } from "../core/store.js";
import { classes, html, useEffect } from "../core/ui.js";
import { OpeningLooks } from "../looks/opening_looks.js";
import { AddRow, useDrop } from "./adding.js";
import { Completing } from "./completing.js";
import { Opening } from "./opening.js";
import { Pieces } from "./pieces.js";
import { isJudged, refusalOf, useRefusals } from "./refusals.js";
import { Uploads } from "./uploads.js";
import { OutfitScore } from "./outfit_score.js";

export function OutfitView() {
  const isEmpty = useStore((state) => !state.saved.pieces.some(({ uid }) => uid in state.saved.items));
  const hasCatalogue = useStore((state) => (state.ready ? Boolean(state.ready.items) : null)); // Null until it is known.
  if (!isEmpty) return html`<${Table} hasCatalogue=${hasCatalogue} />`;
  return html`<${Opening} />${hasCatalogue && html`<${OpeningLooks} />`}`;
}

function Table({ hasCatalogue }) {
  const pieces = useStore((state) => state.saved.pieces);
  const all = useStore((state) => state.saved.items);
  const quick = useStore((state) => state.quick);
  const refused = useStore((state) => state.refused);
  const epoch = useStore((state) => state.epoch);
  const { isOver, handlers } = useDrop();
  const worn = pieces.filter(({ uid, on }) => on && all[uid]).map(({ uid }) => all[uid]);
  const items = worn.filter((item) => isJudged(item, refused, epoch));
  const body = items.length > 1 ? { items: items.map(given), language_model: !quick } : null;
  const answered = useAnswer("score", body);
  const { answer, pending } = answered;
  const error = useRefusals(answered, body, items);
  const isOf = answer && !pending && answered.of === JSON.stringify(body);
  const without = isOf ? Object.fromEntries(answer.items.map((one, place) => [items[place].uid, one.score_without])) : {};
  const weakest = isOf && answer.weakest !== null ? items[answer.weakest].uid : null;
  const refusals = Object.fromEntries(worn.map((item) => [item.uid, refusalOf(item, refused, epoch)]));
  useEffect(() => {
    if (isOf) learnCategories(items, answer);
  }, [isOf, answer]);
  return html`<h1 class="unseen">${t("table.title")}</h1>
    <div class=${classes("table", isOver && "table--over")} ...${handlers}>
      <div class="table__outfit">
        <${OutfitScore} answered=${{ ...answered, error }} isOf=${isOf} items=${items} unknown=${worn.length - items.length} />
        <section aria-labelledby="pieces">
          <h2 id="pieces">${t("pieces.title")}</h2>
          <${AddRow} />
          <${Uploads} />
          <${Pieces} weakest=${weakest} without=${without} refusals=${refusals} />
        </section>
      </div>
      ${hasCatalogue && html`<${Completing} items=${items} now=${isOf ? answer : null} />`}
      ${hasCatalogue === false && html`<p class="quiet table__none">${t("complete.no_catalogue")}</p>`}
    </div>`;
}

/** What items in words were judged as, where their user hasn't said it. */
function learnCategories(items, answer) {
  items.forEach(({ uid, kind }, place) => {
    const isOpen = kind === "words" && read().saved.items[uid]?.category === null;
    if (isOpen) changeItem(uid, { category: answer.items[place].item.category });
  });
}
