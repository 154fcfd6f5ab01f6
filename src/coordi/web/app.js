/** The page from the top: words and what was kept are read, then it is drawn, then the server is asked. */

import { preferredLanguage, t, useLanguage } from "./core/i18n.js";
import { startKeeping } from "./core/keeping.js";
import { startServer } from "./core/server.js";
import { read, update, useStore } from "./core/store.js";
import { html, render, useEffect, useRef, useState } from "./core/ui.js";
import { KeptView } from "./saved/view.js";
import { LooksView } from "./looks/view.js";
import { OutfitView } from "./outfit/view.js";
import { usePhotosAnywhere } from "./outfit/adding.js";
import { applyTheme, Header, VIEWS } from "./shared/header.js";
import { Notices } from "./shared/notice.js";
import { ServerState } from "./shared/server_state.js";
import { WardrobeView } from "./wardrobe/view.js";

const DRAWN = { outfit: OutfitView, looks: LooksView, kept: KeptView, wardrobe: WardrobeView };

function viewNow() {
  const name = location.hash.slice(1);
  return VIEWS.includes(name) ? name : "outfit";
}

/** Which part of the page the address names; its top and the focus are where a reader expects them. */
function useView() {
  const [view, setView] = useState(viewNow());
  useEffect(() => {
    const follow = () => {
      setView(viewNow());
      if (!read().notice?.undo) update({ notice: null });
      window.scrollTo(0, 0);
      document.getElementById("main").focus({ preventScroll: true });
    };
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  return view;
}

function App() {
  const view = useView();
  const language = useStore((state) => state.language);
  const main = useRef(null);
  usePhotosAnywhere();
  useEffect(() => {
    document.title = view === "outfit" ? t("page.title") : t("page.title.part", { part: t(`nav.${view}`) });
  }, [view, language]);
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  const View = DRAWN[view];
  return html`<div class="page" key=${language}>
    <a class="skip" href="#main" onClick=${skip}>${t("head.skip")}</a>
    <${Header} view=${view} />
    <${ServerState} />
    <main class="main" id="main" tabindex="-1" ref=${main}><${View} /></main>
    <footer class="foot"><p>${t("foot.private")}</p></footer>
    <${Notices} />
  </div>`;
}

async function start() {
  applyTheme();
  const language = preferredLanguage();
  await Promise.all([useLanguage(language), startKeeping()]);
  update({ language });
  // A photo that misses the place to drop it would otherwise replace the page.
  for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
  render(html`<${App} />`, document.getElementById("app"));
  await startServer();
}

start();
