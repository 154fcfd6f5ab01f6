/** The page's head: where one is, language, light or dark. */

import { language, languages, rememberLanguage, t, useLanguage } from "../core/i18n.js";
import { update, useStore } from "../core/store.js";
import { html, useEffect, useState } from "../core/ui.js";
import { Icon } from "./icons.js";

export const VIEWS = ["outfit", "looks", "kept", "wardrobe"];
const THEME = "coordi-theme";

/** @param {{view: string}} props */
export function Header({ view }) {
  const kept = useStore((state) => state.saved.kept.length);
  const own = useStore((state) => Object.values(state.saved.items).filter((item) => item.kind !== "catalogue").length);
  const counts = { kept, wardrobe: own };
  return html`<header class="head">
    <a class="head__name" href="#outfit">coordi<span lang="ko">코디</span></a>
    <nav class="nav" aria-label=${t("head.nav")}>
      ${VIEWS.map((name) => html`<a class="nav__link" key=${name} href=${`#${name}`} aria-current=${name === view ? "page" : undefined}>${t(`nav.${name}`)}${counts[name] ? html` <span class="nav__count">${counts[name]}</span>` : null}</a>`)}
    </nav>
    <div class="head__tools"><${Languages} /><${Theme} /></div>
  </header>`;
}

function Languages() {
  const other = languages().find(([code]) => code !== language());
  const change = async () => {
    rememberLanguage(other[0]);
    await useLanguage(other[0]);
    update({ language: other[0] });
  };
  return html`<button type="button" class="button button--plain" lang=${other[0]} onClick=${change}>${other[1]}</button>`;
}

const isDark = () => {
  const chosen = localStorage.getItem(THEME);
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

/** Before anything is drawn: what was chosen here earlier. */
export function applyTheme() {
  const chosen = localStorage.getItem(THEME);
  if (chosen) document.documentElement.dataset.theme = chosen;
}

function Theme() {
  const [dark, setDark] = useState(isDark());
  useEffect(() => {
    const preference = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setDark(isDark());
    preference.addEventListener("change", follow);
    return () => preference.removeEventListener("change", follow);
  }, []);
  const change = () => {
    localStorage.setItem(THEME, dark ? "light" : "dark");
    applyTheme();
    setDark(!dark);
  };
  const label = t(dark ? "head.light" : "head.dark");
  return html`<button type="button" class="button button--plain" aria-label=${label} title=${label} onClick=${change}><${Icon} name=${dark ? "sun" : "moon"} /></button>`;
}
