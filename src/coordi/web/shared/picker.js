/** A menu to choose one of many from: typing narrows it, arrows move, Enter takes, Escape closes it. */

import { t } from "../core/i18n.js";
import { classes, html, useEffect, useId, useLayoutEffect, useRef, useState } from "../core/ui.js";

/**
 * @typedef {{value: string, text: string}} Option
 * @typedef {{name: string, options: Option[]}} Group
 */

/**
 * A button and the menu that it opens.
 * @param {{label: string, groups: Group[], onTake: (value: string) => void, kind?: string, title?: string, chosen?: string,
 *   children: any}} props
 */
export function Picker({ label, groups, onTake, kind = "button", title, chosen, children }) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef(null);
  const id = useId();
  const close = (focus = true) => {
    setOpen(false);
    if (focus) button.current?.focus();
  };
  const take = (value) => {
    close();
    onTake(value);
  };
  return html`<span class="picker">
    <button type="button" class=${kind} ref=${button} aria-label=${label} title=${title} aria-haspopup="dialog"
      aria-expanded=${isOpen} aria-controls=${isOpen ? id : undefined} onClick=${() => setOpen(!isOpen)}>${children}</button>
    ${isOpen && html`<${Choices} id=${id} label=${label} groups=${groups} chosen=${chosen} onTake=${take} onClose=${close} />`}
  </span>`;
}

function Choices({ id, label, groups, chosen, onTake, onClose }) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(() => Math.max(groups.flatMap((group) => group.options).findIndex((option) => option.value === chosen), 0));
  const [steps, setSteps] = useState(0);
  const box = useRef(null);
  const field = useRef(null);
  const shown = groups
    .map((group) => ({ ...group, options: group.options.filter((option) => holds(option.text, typed) || holds(group.name, typed)) }))
    .filter((group) => group.options.length);
  const options = shown.flatMap((group) => group.options);
  // Before anything else is pressed: what is typed at once belongs into the field, whose keyboard would cover the menu of a phone.
  useLayoutEffect(() => {
    (matchMedia("(pointer: coarse)").matches ? box : field).current.focus({ preventScroll: true });
    box.current.scrollIntoView({ block: "nearest" });
    const away = (event) => !box.current?.parentElement.contains(event.target) && onClose(false);
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, []);
  // Only keys and typing scroll: what lies under a pointer must not move away from it.
  useEffect(() => {
    const option = box.current.querySelector(".option--at");
    if (option) box.current.querySelector(".options").scrollTop = option.offsetTop - 90;
  }, [steps, typed]);
  const step = (place) => {
    setAt(place);
    setSteps(steps + 1);
  };
  const hover = (event, place) => {
    if (event.movementX || event.movementY) setAt(place); // The list may also have moved under a resting pointer.
  };
  const keys = {
    ArrowDown: () => step(Math.min(at + 1, options.length - 1)),
    ArrowUp: () => step(Math.max(at - 1, 0)),
    Home: () => step(0),
    End: () => step(options.length - 1),
    Enter: () => options[at] && onTake(options[at].value),
    Escape: () => onClose(),
    Tab: () => onClose(),
  };
  const press = (event) => {
    if (event.isComposing || !keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  };
  const type = (event) => {
    setTyped(event.target.value);
    setAt(0);
  };
  return html`<div class="choices" id=${id} ref=${box} role="dialog" aria-label=${label} tabindex="-1" onKeyDown=${press}>
    <input class="choices__field" ref=${field} type="text" role="combobox" aria-label=${t("picker.narrow", { what: label })}
      placeholder=${t("picker.placeholder")} aria-expanded="true" aria-controls=${`${id}-list`} aria-autocomplete="list"
      aria-activedescendant=${options[at] ? `${id}-${at}` : undefined} autocomplete="off" value=${typed} onInput=${type} />
    <div class="options" id=${`${id}-list`} role="listbox" aria-label=${label}>
      ${shown.map((group) => html`<div role="group" aria-label=${group.name} key=${group.name}>
        <div class="options__name" aria-hidden="true">${group.name}</div>
        ${group.options.map((option) => {
          const place = options.indexOf(option);
          return html`<div class=${classes("option", place === at && "option--at")} id=${`${id}-${place}`} role="option" key=${option.value}
            aria-selected=${option.value === chosen} onClick=${() => onTake(option.value)} onPointerMove=${(event) => hover(event, place)}>${option.text}</div>`;
        })}
      </div>`)}
      ${!options.length && html`<p class="options__none" role="presentation">${t("picker.none")}</p>`}
    </div>
  </div>`;
}

const holds = (text, typed) => text.toLowerCase().includes(typed.trim().toLowerCase());
