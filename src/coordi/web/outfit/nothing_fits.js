/** When nothing fits: why, and which rule to give up. */

import * as i18n from "../core/i18n.js";
import { dropFilter, isSet, OF_WISH } from "../core/filters.js";
import { useStore } from "../core/store.js";
import { html } from "../core/ui.js";
import { Icon } from "../shared/icons.js";

const { t, tOr } = i18n;

/** @param {{answer: any}} props Of `complete`. */
export const NothingFits = ({ answer }) => html`<div class="nothing">
  <${Icon} name="hanger" />
  <h3>${t("nothing.title")}</h3>
  <p>${whyOf(answer)}</p>
  <${LeftOut} rules=${answer.left_out} />
</div>`;

/** What each rule left out, and a way to give it up where it is the user's. @param {{rules: any[]}} props */
export function LeftOut({ rules }) {
  const filters = useStore((state) => state.saved.filters);
  if (!rules.length) return null;
  return html`<ul class="rules" role="list">
    ${rules.map((rule) => {
      const isDroppable = rule.name in filters || OF_WISH.includes(rule.name);
      const words = isDroppable ? wordsOf(rule, filters) : tOr(`rule.${rule.name}`, rule.rule);
      return html`<li key=${`${rule.name} ${rule.rule}`}>
        <span><b>${words}</b> ${t("nothing.left_out", { n: rule.count })} ${t("nothing.left", { n: rule.left })}</span>
        ${isDroppable && html`<button type="button" class="button" aria-label=${t("nothing.drop", { rule: words })} onClick=${() => dropFilter(rule)}>${t("nothing.drop.short")}</button>`}
      </li>`;
    })}
  </ul>`;
}

/** The list of rules says the rest; without one the server knows more, unless it answered in another language. */
function whyOf(answer) {
  if (answer.left_out.length) return t("nothing.rules");
  if (answer.nothing && answer.language === i18n.language()) return answer.nothing.charAt(0).toUpperCase() + answer.nothing.slice(1);
  return t("nothing.else", { what: i18n.list(answer.categories.map(i18n.category)) });
}

/** A rule in the page's language, from what was set. */
function wordsOf({ name, rule }, filters) {
  const shown = { want: i18n.category, unwanted: i18n.category, colours: i18n.label, unwanted_colours: i18n.label, seasons: i18n.season };
  const value = filters[name];
  if (["occasion", "weather"].includes(name) || !isSet(name, filters)) return i18n.wish(rule);
  if (name === "in_stock") return t("filter.in_stock");
  if (name === "excluded") return t("filter.excluded");
  if (name === "gender") return t("rule.gender", { what: i18n.gender(value) });
  if (name === "price_min" || name === "price_max") return t(`rule.${name}`, { what: i18n.price(value) });
  return t(`rule.${name}`, { what: i18n.list(value.map(shown[name] ?? String)) });
}
