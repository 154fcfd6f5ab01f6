/** The ways in: photos dropped, chosen, taken or pasted; words; the catalogue. */

import { t } from "../core/i18n.js";
import { addPhotos, addWords } from "../core/items.js";
import { photosOf } from "../core/photos.js";
import { useStore } from "../core/store.js";
import { classes, html, useEffect, useId, useState } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { CatalogueDialog } from "./catalogue_dialog.js";

/** Photos that are pasted, or dropped beside what asks for them, are taken in wherever the page is. */
export function usePhotosAnywhere() {
  useEffect(() => {
    const paste = (event) => {
      const photos = photosOf(event.clipboardData);
      if (!photos.length) return;
      event.preventDefault();
      addPhotos(photos);
    };
    const drop = (event) => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault(); // Else the browser would leave the page and show the file.
      if (event.type === "drop") addPhotos(photosOf(event.dataTransfer));
    };
    const listeners = Object.entries({ paste, drop, dragover: drop });
    listeners.forEach(([kind, listener]) => document.addEventListener(kind, listener));
    return () => listeners.forEach(([kind, listener]) => document.removeEventListener(kind, listener));
  }, []);
}

/** What may be dropped on: the handlers, and whether something hovers over it. */
export function useDrop() {
  const [isOver, setOver] = useState(false);
  const over = (event) => {
    event.preventDefault();
    setOver(true);
  };
  const leave = (event) => !event.currentTarget.contains(event.relatedTarget) && setOver(false);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    addPhotos(photosOf(event.dataTransfer));
  };
  return { isOver, handlers: { onDragOver: over, onDragLeave: leave, onDrop: drop } };
}

/** @param {{kind: string, camera?: boolean, children: any}} props A button that opens the photos, or the camera. */
export function PhotoButton({ kind, camera = false, children }) {
  const id = useId();
  const take = (event) => {
    addPhotos(Array.from(event.target.files));
    event.target.value = "";
  };
  return html`<span class=${classes("upload", camera && "upload--camera")}>
    <input class="upload__field" id=${id} type="file" accept="image/*" multiple=${!camera} capture=${camera ? "environment" : undefined}
      onChange=${take} />
    <label class=${kind} for=${id}>${children}</label>
  </span>`;
}

export function WordsForm() {
  const [words, setWords] = useState("");
  const most = useStore((state) => state.vocabulary?.limits.text ?? 300);
  const id = useId();
  const add = (event) => {
    event.preventDefault();
    addWords(words);
    setWords("");
  };
  return html`<form class="words" onSubmit=${add}>
    <label class="unseen" for=${id}>${t("add.words")}</label>
    <input class="field" id=${id} type="text" maxlength=${most} placeholder=${t("add.words.example")} value=${words}
      onInput=${(event) => setWords(event.target.value)} />
    <button type="submit" class="button" disabled=${!words.trim()}>${t("action.add")}</button>
  </form>`;
}

export function CatalogueButton({ kind = "button" }) {
  const [isOpen, setOpen] = useState(false);
  const count = useStore((state) => state.ready?.items ?? 0);
  if (!count) return null;
  return html`
    <button type="button" class=${kind} onClick=${() => setOpen(true)}><${Icon} name="search" />${t("add.catalogue")}</button>
    ${isOpen && html`<${CatalogueDialog} onClose=${() => setOpen(false)} />`}`;
}

/** All of them in one row, once there is something on the table. */
export const AddRow = () => html`<div class="adding">
  <div class="adding__buttons">
    <${PhotoButton} kind="button"><${Icon} name="add" />${t("add.photos")}</${PhotoButton}>
    <${PhotoButton} kind="button" camera><${Icon} name="camera" />${t("add.camera")}</${PhotoButton}>
    <${CatalogueButton} />
  </div>
  <${WordsForm} />
</div>`;
