import { useRef } from "preact/hooks";
import { place, replaceParams } from "../routes.js";
import { Field, textOf } from "./field.js";

interface FiltersProps {
  /** The name of the search for screen readers. */
  readonly label: string;
  /** The parameters of the page and their labels. */
  readonly fields: readonly (readonly [name: string, label: string])[];
}

/** The pause after the last key before the server searches. */
const pauseMs = 250;

/** Fields that filter a list. They are parameters of the page, so that a link to it has them. */
export function Filters({ label, fields }: FiltersProps) {
  const timer = useRef(0);
  const { params } = place.value;
  const apply = (form: HTMLFormElement) => {
    clearTimeout(timer.current);
    const data = new FormData(form);
    const changed = Object.fromEntries(fields.map(([name]) => [name, textOf(data, name).trim()]));
    replaceParams({ ...place.value.params, ...changed });
  };
  return (
    <search aria-label={label}>
      <form
        class="filters"
        onInput={({ currentTarget }) => {
          clearTimeout(timer.current);
          timer.current = window.setTimeout(() => currentTarget.isConnected && apply(currentTarget), pauseMs);
        }}
        onSubmit={(event) => {
          event.preventDefault();
          apply(event.currentTarget);
        }}
      >
        {fields.map(([name, label]) => (
          <Field key={name} {...{ name, label, value: params[name] }} />
        ))}
      </form>
    </search>
  );
}
